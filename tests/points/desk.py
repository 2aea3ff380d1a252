"""A worker's desk without Kafka: messages of the log are handed to a handler, batches to mongod."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pymongo import MongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent, CommandSucceededEvent

from shared.contracts.outcomes import instant
from shared.contracts.partitions import partition_of
from shared.runtime.chains import moved, take
from shared.runtime.messages import LOG_INPUT
from shared.runtime.mongo import MongoStore
from shared.runtime.ports import Document, Handler, Message, Transaction, Work
from shared.runtime.settings import Settings

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
LINEAGE = "log-1"


class Submitted(NamedTuple):
    """What a client sent."""

    customer: str
    action: str
    data: Mapping[str, Any] = {}
    id: str = ""
    account: str = ""
    tenant: str = "demo"


class Counted(CommandListener):
    """Finds sent and documents that came back, since the last reset."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.finds: list[str] = []
        self.documents = 0
        self.written: dict[str, int] = {}

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find":
            self.finds.append(event.command["find"])
        for verb, many in (("insert", "documents"), ("update", "updates"), ("delete", "deletes")):
            if event.command_name == verb:
                collection = event.command[verb]
                count = self.written.get(collection, 0) + len(event.command[many])
                self.written[collection] = count

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if event.command_name in ("find", "getMore"):
            cursor = event.reply["cursor"]
            self.documents += len(cursor.get("firstBatch", cursor.get("nextBatch", ())))

    def failed(self, event: object) -> None:
        """A failure raises in the test itself."""


class Desk:
    """One worker of a service on its own databases; the log is kept here."""

    def __init__(
        self,
        settings: Settings,
        service: str,
        build: Callable[[Settings, MongoClient[Document]], Handler],
    ) -> None:
        self.counted = Counted()
        self.client: MongoClient[Document] = MongoClient(
            settings.mongo_url,
            w="majority",
            readConcernLevel="majority",
            tz_aware=True,
            tzinfo=UTC,
            event_listeners=[self.counted],
        )
        self.settings = settings
        self.service = service
        self._build = build
        self._seqs: dict[int, int] = {}
        self._sent = 0
        self._versions: dict[str, int] = {}
        self.letters: list[str] = []
        """Why messages of committed batches are dead."""
        self.start()

    def start(self) -> None:
        """A new worker: nothing cached, every partition taken over."""
        self.handler = self._build(self.settings, self.client)
        self._store = MongoStore(self.client, self.settings, self.service, ["events.log"])
        partitions = range(self.settings.partitions)
        self.cursors = {p: self._store.take_over(p) for p in partitions}

    def close(self) -> None:
        self._store.close()
        self.client.close()

    def configure(self, kind: str, id_: str, document: Document, tenant: str = "demo") -> None:
        """An active entity of the program, under which the events sent later are decided."""
        version = self._versions[tenant] = self._versions.get(tenant, 0) + 1
        database = self.client[self.settings.database("program")]
        database.heads.replace_one({"_id": tenant}, {"version": version}, upsert=True)
        database.revisions.insert_one(
            {
                "_id": f"{tenant}/{kind}/{id_}/{version}",
                "tenant": tenant,
                "kind": kind,
                "id": id_,
                "version": version,
                "status": "active",
                "document": document,
            }
        )

    def logged(self, *events: Submitted) -> list[Message]:
        """These events as the journal announces them, a second apart."""
        return [self._message(event) for event in events]

    def forget_log(self) -> None:
        """Another log begins, with the same numbers, ids and times."""
        self._seqs.clear()
        self._sent = 0

    def decide(self, messages: Sequence[Message]) -> Work:
        return self.handler.decide(
            take(messages, self.cursors, (LOG_INPUT,)).messages, self.cursors
        )

    def commit(
        self, messages: Sequence[Message], work: Work, then: Callable[[], None] = lambda: None
    ) -> None:
        """As the projector does it; `then` runs before the commit."""
        after = moved(take(messages, self.cursors, (LOG_INPUT,)).cursors, self.cursors, work)

        def body(transaction: Transaction) -> None:
            work.prepare(transaction)
            for partition, cursor in after.items():
                assert transaction.move(self.cursors[partition], cursor)
            work.write(transaction)
            then()

        self._store.transact(body)
        self.cursors |= after
        work.committed()

    def batch(self, messages: Sequence[Message]) -> list[tuple[str, Mapping[str, str], Any]]:
        """Decides and commits a batch; what it announces, as (topic, headers, value)."""
        work = self.decide(messages)
        self.commit(messages, work)
        self.letters += [letter.reason for letter in work.dead]
        return announced(work.outgoing())

    def outcomes(self, *events: Submitted) -> list[Any]:
        """What the clients of one batch are told."""
        said = self.batch(self.logged(*events))
        return [value for topic, _, value in said if topic == "events.outcomes"]

    def documents(self, collection: str) -> dict[Any, Document]:
        """All documents of the service's collection by `_id`."""
        found = self.client[self.settings.database(self.service)][collection].find()
        return {document["_id"]: document for document in found}

    def clear(self, collections: Collection[str]) -> None:
        """As if nothing had happened yet."""
        database = self.client[self.settings.database(self.service)]
        for name in collections:
            database[name].delete_many({})

    def _message(self, event: Submitted) -> Message:
        self._sent += 1
        key = f"{event.tenant}/{event.customer}".encode()
        partition = partition_of(key, self.settings.partitions)
        seq = self._seqs[partition] = self._seqs.get(partition, 0) + 1
        at = instant(START + timedelta(seconds=self._sent))
        id_ = event.id or f"e-{self._sent}"
        body = {
            "id": id_,
            "customer": event.customer,
            "action": event.action,
            "account": event.account,
            "data": event.data,
        }
        headers = {
            "ce_id": id_,
            "ce_type": event.action,
            "ce_time": at,
            "tenant": event.tenant,
            "customer": event.customer,
            "seq": str(seq),
            "lineage": LINEAGE,
            "recorded_at": at,
            "program": str(self._versions.get(event.tenant, 0)),
            "hops": "0",
            "reply_to": f"gateway-1/{self._sent}",
        }
        return Message("events.log", partition, seq - 1, key, json.dumps(body).encode(), headers)


def announced(messages: Iterable[Any]) -> list[tuple[str, Mapping[str, str], Any]]:
    """Outgoing messages, readable."""
    return [
        (
            message.topic,
            {name: value.decode() for name, value in message.headers},
            json.loads(message.value),
        )
        for message in messages
    ]
