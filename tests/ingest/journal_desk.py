"""A journal whose batches are handed over by hand, on a real mongod."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from pymongo import MongoClient

from services.ingest.journal import Journal, Sequenced
from services.ingest.repository import JournalRepository
from shared.contracts.partitions import partition_of
from shared.runtime.chains import moved, take
from shared.runtime.messages import INBOX_INPUT
from shared.runtime.mongo import MongoStore
from shared.runtime.ports import Cursor, Document, Message, Outgoing, Transaction
from shared.runtime.settings import Settings

START = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


class Desk:
    """A journal whose batches are handed over by hand, with a clock that the test moves."""

    def __init__(self, settings: Settings, client: MongoClient[Document]) -> None:
        self.now = START
        self.settings = settings
        self.database = client[settings.database("journal")]
        self.program = client[settings.database("program")]
        self.store = MongoStore(client, settings, "journal", [INBOX_INPUT.topic])
        self.journal = Journal(
            JournalRepository(self.database), settings.partitions, lambda: self.now
        )
        self.cursors: dict[int, Cursor] = {}
        self.offset = 0

    def take_over(self, *partitions: int) -> None:
        self.cursors = {p: self.store.take_over(p) for p in partitions}

    def batch(self, messages: Sequence[Message]) -> Sequenced:
        """Decides, commits and moves the cursors, as the projector does."""
        taken = take(messages, self.cursors, [INBOX_INPUT])
        work = self.journal.decide(taken.messages, self.cursors)
        after: dict[int, Cursor] = {}

        def body(transaction: Transaction) -> None:
            work.prepare(transaction)
            after.update(moved(taken.cursors, self.cursors, work))
            for partition, cursor in after.items():
                assert transaction.move(self.cursors[partition], cursor)
            work.write(transaction)

        self.store.transact(body)
        self.cursors |= after
        return work

    def message(self, id_: str, customer: str = "c-1", points: int = 5, **headers: str) -> Message:
        """A `point_add` on the inbox."""
        body = {"id": id_, "customer": customer, "action": "point_add", "data": {"points": points}}
        value = json.dumps(body).encode()
        key = f"demo/{customer}".encode()
        told = {
            "ce_id": id_, "ce_type": "point_add", "ce_source": "gateway", "tenant": "demo",
            "customer": customer, "content": hashlib.sha256(value).hexdigest(),
        }  # fmt: skip
        self.offset += 1
        partition = partition_of(key, self.settings.partitions)
        return Message("events.inbox", partition, self.offset - 1, key, value, told | headers)


def on_log(work: Sequenced) -> list[Message]:
    """What the batch announces on the log, as its readers get it."""
    return [
        Message(out.topic, out.partition or 0, 0, out.key, out.value, texts(out))
        for out in work.outgoing()
        if out.topic == "events.log"
    ]


def texts(out: Outgoing) -> dict[str, str]:
    return {name: value.decode() for name, value in out.headers}
