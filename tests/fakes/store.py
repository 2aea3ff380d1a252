"""An in-memory store behind the projector's port; it runs behind the same suite as the real one."""

import copy
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.runtime.ports import Conflict, Cursor, Document, Place, Transaction


@dataclass
class FakeDatabase:
    """What outlives a worker: cursors and collections."""

    cursors: dict[int, Cursor] = field(default_factory=dict)
    holders: dict[int, str] = field(default_factory=dict)
    collections: dict[str, dict[Any, Document]] = field(default_factory=dict)


class FakeTransaction:
    """Writes to a copy; the store swaps it in at the commit."""

    def __init__(self, database: FakeDatabase) -> None:
        self.cursors = dict(database.cursors)
        self.collections = copy.deepcopy(database.collections)

    def find(
        self, collection: str, ids: Collection[Any] | None = None, service: str = ""
    ) -> list[Document]:
        assert not service, "the fake has one database"
        documents = self.collections.get(collection, {})
        wanted = documents if ids is None else [key for key in ids if key in documents]
        return [copy.deepcopy(documents[key]) for key in wanted]

    def insert(self, collection: str, documents: Sequence[Document]) -> None:
        stored = self.collections.setdefault(collection, {})
        for document in documents:
            if document["_id"] in stored:
                raise Conflict(f"{collection} has {document['_id']}")
            stored[document["_id"]] = copy.deepcopy(document)

    def put(self, collection: str, documents: Sequence[Document]) -> None:
        stored = self.collections.setdefault(collection, {})
        stored.update({document["_id"]: copy.deepcopy(document) for document in documents})

    def update(self, collection: str, updates: Iterable[tuple[Any, Document]]) -> None:
        stored = self.collections.setdefault(collection, {})
        for key, update in updates:
            assert update.keys() == {"$set"}, "the fake knows $set alone"
            stored.setdefault(key, {"_id": key}).update(copy.deepcopy(update["$set"]))

    def remove(self, collection: str, ids: Collection[Any]) -> None:
        for key in ids:
            self.collections.get(collection, {}).pop(key, None)

    def move(self, before: Cursor, after: Cursor) -> bool:
        now = self.cursors.get(before.partition)
        if now is None or (now.epoch, now.batch) != (before.epoch, before.batch):
            return False
        self.cursors[before.partition] = after
        return True


class FakeStore:
    """One worker's view."""

    def __init__(self, database: FakeDatabase, worker: str = "0") -> None:
        self._database = database
        self._worker = worker

    def take_over(self, partition: int) -> Cursor:
        former = self._database.cursors.get(partition, Cursor(partition, 0))
        taken = replace(former, epoch=former.epoch + 1)
        self._database.cursors[partition] = taken
        self._database.holders[partition] = self._worker
        return taken

    def places(self, partitions: Collection[int]) -> dict[int, Place]:
        cursors = self._database.cursors
        return {p: Place(cursors[p].epoch, cursors[p].batch) for p in partitions if p in cursors}

    def holders(self, partitions: Collection[int]) -> dict[int, str]:
        holders = self._database.holders
        return {p: holders[p] for p in partitions if p in holders}

    def give_back(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            if self._database.holders.get(partition) == self._worker:
                self._database.holders[partition] = ""

    def transact(self, body: Callable[[Transaction], None]) -> None:
        begun = dict(self._database.cursors)
        transaction = FakeTransaction(self._database)
        body(transaction)
        if self._database.cursors != begun:
            raise Conflict("a cursor changed while the transaction ran")
        self._database.cursors = transaction.cursors
        self._database.collections = transaction.collections
