"""The snapshot: all that changes, read as of one moment and handed out by partition."""

import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import bson
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from cli.problems import CommandError
from cli.verify.documents import PLAIN
from shared.contracts.batches import batch_id
from shared.contracts.decisions import number, place
from shared.contracts.partitions import partition_of
from shared.runtime.ports import Document
from shared.runtime.settings import Settings

SERVICES = ("journal", "customers", "points", "query")
CHANGING: dict[str, tuple[str, ...]] = {
    "customers": ("profiles", "parked", "parked_customers"),
    "points": ("states", "lots", "closed", "parked", "parked_customers"),
    "query": ("cards",),
}
SNAPSHOT_TOO_OLD = 239
SNAPSHOT_UNAVAILABLE = 246
"""A collection was made or replaced at this very moment; a later snapshot sees it."""
UNAVAILABLE_SECONDS = 20.0
RETRY_SECONDS = 0.5
_HEAD = struct.Struct("<iB4si")
"""How a document begins: its size, then type, name and length of `_id`, where that is a text."""
_TEXT = 2


@dataclass(slots=True)
class Part:
    """One partition of the snapshot. `documents`: whole collections as BSON, by `service.name`;
    `cursors` by service; `beyond`: the first document of each collection that lies behind its
    cursor; `events`: how many are stored."""

    partition: int
    partitions: int
    lineage: str
    heads: dict[str, int]
    documents: dict[str, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    cursors: dict[str, Document] = field(default_factory=dict)
    beyond: dict[str, Document] = field(default_factory=dict)
    events: int = 0

    def cursor(self, service: str) -> Document:
        """With all positions; of a service that never ran here they are 0."""
        empty = {"next": {}, "seen": {}, "last": 0, "announced": 0, "lineage": "", "marks": {}}
        return {**empty, **self.cursors.get(service, {})}

    def of(self, collection: str) -> list[Document]:
        """The documents of a collection, decoded; they are not kept."""
        return bson.decode_all(bytes(self.documents.pop(collection, b"")), PLAIN)


@dataclass(slots=True)
class Snapshot:
    """Every partition that was asked for, as of `at` (naive UTC)."""

    at: datetime
    parts: dict[int, Part]


Read = Callable[[int], None]
"""Is told how many more documents were read."""


def take(
    client: MongoClient[Document], settings: Settings, partitions: frozenset[int], read: Read
) -> Snapshot:
    """Reads it. Raises `CommandError` where there is nothing, or where it took longer than mongod
    keeps the past (`minSnapshotHistoryWindowInSeconds`, 300 s unless set)."""
    deadline = time.monotonic() + UNAVAILABLE_SECONDS
    while True:
        try:
            with client.start_session(causal_consistency=False, snapshot=True) as session:
                return _Reading(client, session, settings, partitions, read).all()
        except OperationFailure as error:
            if error.code == SNAPSHOT_UNAVAILABLE and time.monotonic() < deadline:
                time.sleep(RETRY_SECONDS)
                continue
            if error.code != SNAPSHOT_TOO_OLD:
                raise
            raise CommandError(
                "the snapshot got too old before all of it was read: raise mongod's "
                "minSnapshotHistoryWindowInSeconds, or verify at a quieter time."
            ) from error


@dataclass(slots=True)
class _Reading:
    client: MongoClient[Document]
    session: ClientSession
    settings: Settings
    partitions: frozenset[int]
    read: Read

    def all(self) -> Snapshot:
        log = self._collection("journal", "log").find_one({"_id": "log"}, session=self.session)
        if log is None:
            raise CommandError(
                f"namespace {self.settings.namespace} has no journal, so there is nothing to "
                "verify; LAUREL_NAMESPACE and LAUREL_MONGO_URL say where to look."
            )
        clock = self.client.admin.command("hello")["localTime"].replace(tzinfo=None)
        found = self._find("program", "heads")
        heads = {head["_id"]: head["version"] for head in found}
        made = {
            p: Part(p, self.settings.partitions, log["lineage"], heads) for p in self.partitions
        }
        self._add_cursors(made)
        self._add_counts(made)
        for service, collections in CHANGING.items():
            for name in collections:
                self._add_documents(made, service, name)
        for part in made.values():
            self._add_beyond(part)
        return Snapshot(clock, made)

    def _collection(self, service: str, name: str) -> Collection[Document]:
        database = self.client.get_database(self.settings.database(service), codec_options=PLAIN)
        return database[name]

    def _find(self, service: str, name: str) -> list[Document]:
        return list(self._collection(service, name).find(session=self.session))

    def _add_cursors(self, parts: dict[int, Part]) -> None:
        for service in SERVICES:
            for cursor in self._find(service, "cursors"):
                if not 0 <= cursor["_id"] < self.settings.partitions:
                    raise CommandError(
                        f"{service} has a position in partition {cursor['_id']}, but "
                        f"LAUREL_PARTITIONS is {self.settings.partitions}."
                    )
                if part := parts.get(cursor["_id"]):
                    part.cursors[service] = cursor

    def _add_counts(self, parts: dict[int, Part]) -> None:
        by_partition: list[dict[str, Any]] = [
            {"$match": {"partition": {"$in": sorted(parts)}}},
            {"$group": {"_id": "$partition", "events": {"$sum": 1}}},
        ]
        events = self._collection("journal", "events")
        for count in events.aggregate(by_partition, session=self.session):
            parts[count["_id"]].events = count["events"]

    def _add_documents(self, parts: dict[int, Part], service: str, name: str) -> None:
        collection = f"{service}.{name}"
        batches = self._collection(service, name).find_raw_batches(session=self.session)
        for batch in batches:
            count = 0
            for document in _documents(cast(bytes, batch)):  # typed as if it were decoded
                if part := parts.get(self._partition(name, document)):
                    part.documents[collection] += document
                    count += 1
            self.read(count)

    def _partition(self, name: str, document: bytes) -> int:
        _, kind, _, length = _HEAD.unpack_from(document)
        if kind != _TEXT:  # a waiting event's number
            id_ = bson.decode(document, PLAIN)["_id"]
            return place(id_)[0] if isinstance(id_, int) else 0
        key = document[_HEAD.size : _HEAD.size + length - 1]
        if name == "lots":
            key = key.rsplit(b"/", 3)[0]
        elif name == "closed":
            key = key.partition(b"\x1f")[0]
        return partition_of(key, self.settings.partitions)

    def _add_beyond(self, part: Part) -> None:
        p = part.partition
        behind = batch_id(p, part.cursor("journal")["last"])
        self._look_beyond(part, "journal", "batches", behind, batch_id(p + 1, 0))
        for service in ("customers", "points"):
            last = max(part.cursor(service)["last"], number(p, 0))
            self._look_beyond(part, service, "decisions", last, number(p + 1, 0))

    def _look_beyond(self, part: Part, service: str, name: str, behind: int, below: int) -> None:
        wanted = {"$gt": behind, "$lt": below}
        if part.partition == self.settings.partitions - 1:
            del wanted["$lt"]  # what lies behind every partition is found here
        collection = self._collection(service, name)
        if found := collection.find_one({"_id": wanted}, session=self.session):
            part.beyond[f"{service}.{name}"] = found


def _documents(batch: bytes) -> Iterator[bytes]:
    """The documents of a raw batch, one after the other."""
    start = 0
    while start < len(batch):
        end = start + int.from_bytes(batch[start : start + 4], "little")
        yield batch[start:end]
        start = end
