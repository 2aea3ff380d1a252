"""The journal's documents: events that never change, batches that chain them, the log's name."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from bson.binary import Binary
from pymongo import ReturnDocument
from pymongo.database import Database

from services.ingest.domain.sequence import chained, record, tick_id
from shared.contracts.batches import batch_id
from shared.contracts.identity import dedupe_key
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

    def known_lineage(self) -> str:
        """The same, where it has been made; else empty."""
        return str((self._log.find_one({"_id": "log"}) or {"lineage": ""})["lineage"])

    def adopt(self, lineage: str) -> None:
        """Takes the name of a log over, in a database that has no name yet."""
        self._log.insert_one({"_id": "log", "lineage": lineage})

    def ticks(self, at: Mapping[int, datetime]) -> list[Document]:
        """The tick of this instant in each partition; found by their keys."""
        keys = [
            Binary(dedupe_key("", tick_id(partition, as_of))) for partition, as_of in at.items()
        ]
        return list(self._events.find({"_id": {"$in": keys}}))

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


def batch_document(
    partition: int, events: Sequence[Document], previous: bytes, inbox_next: int
) -> Document:
    """The batch that holds these events, chained to the hash before it."""
    return {
        "_id": batch_id(partition, events[0]["seq"]),
        "count": len(events),
        "keys": [event["_id"] for event in events],
        "hash": Binary(chained(previous, [record(event) for event in events])),
        "previous_hash": Binary(previous),
        "inbox_next": inbox_next,
    }
