"""The journal's documents: events that never change, batches that chain them, the log's name."""

from collections.abc import Iterable, Iterator, Sequence
from uuid import uuid4

from bson.binary import Binary
from pymongo import ReturnDocument
from pymongo.database import Database

from shared.contracts.batches import batch_id
from shared.runtime.mongo import store_errors
from shared.runtime.ports import Document, Transaction

EVENTS = "events"
BATCHES = "batches"


class JournalRepository:
    """Owns `events`, `batches` and `log` of the journal's database. `_id` is the only index."""

    def __init__(self, database: Database[Document]) -> None:
        self._events = database[EVENTS]
        self._batches = database[BATCHES]
        self._log = database["log"]

    def lineage(self) -> str:
        """The random name of this log, made once: numbers compare only within one."""
        log = self._log.find_one_and_update(
            {"_id": "log"},
            {"$setOnInsert": {"lineage": uuid4().hex}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return str((log or {})["lineage"])

    def known(self, keys: Iterable[bytes]) -> dict[bytes, Document]:
        """Of events with these keys: `content`, `partition`, `seq`, by key."""
        wanted = {"_id": {"$in": [Binary(key) for key in keys]}}
        with store_errors():
            found = self._events.find(wanted, {"content": 1, "partition": 1, "seq": 1})
            return {bytes(document["_id"]): document for document in found}

    def after(self, partition: int, seq: int) -> Iterator[Document]:
        """Events of a partition behind `seq`, in order: batch by batch, events by key."""
        wanted = {"$gte": batch_id(partition, seq + 1), "$lt": batch_id(partition + 1, 0)}
        with store_errors():
            for batch in self._batches.find({"_id": wanted}).sort("_id", 1):
                events = list(self._events.find({"_id": {"$in": batch["keys"]}}))
                yield from sorted(events, key=lambda event: int(event["seq"]))

    @staticmethod
    def store(
        transaction: Transaction, events: Sequence[Document], batches: Sequence[Document]
    ) -> None:
        """Writes a batch; an event that exists by now makes it a `Conflict`."""
        transaction.insert(EVENTS, events)
        transaction.insert(BATCHES, batches)
