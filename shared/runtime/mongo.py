"""The store on MongoDB: one long-lived session, one transaction a batch, an epoch that fences."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Collection as Many
from contextlib import contextmanager, suppress
from datetime import UTC
from typing import Any

from bson.binary import Binary
from bson.codec_options import CodecOptions
from pymongo import MongoClient, ReplaceOne, ReturnDocument, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    ConnectionFailure,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from shared.runtime.ports import (
    Conflict,
    Cursor,
    Document,
    Place,
    Transaction,
    Unavailable,
    UnknownCommit,
)
from shared.runtime.settings import Settings

MAJORITY = WriteConcern("majority", j=True)
SNAPSHOT = ReadConcern("snapshot")
CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)

SERVER_SELECTION_MS = 5_000
COMMIT_SECONDS = 30.0
"""How long a commit whose answer was lost is asked for again before the cursors are read."""
DUPLICATE_KEY = 11000
TOO_LARGE = 257
"""TransactionTooLargeForCache and its kin: halving the batch helps."""
REPLACED = frozenset({43, 175, 246})
"""CursorNotFound, QueryPlanKilled, SnapshotUnavailable: another collection has taken the place of
the one that was being read (a rebuild has switched); read again, it is the new one."""
ABORTED_BY_OTHERS = REPLACED | {112, 251, TOO_LARGE, 290, 391}
"""Also WriteConflict, NoSuchTransaction (killSessions), too large: redo."""
LENT_SECONDS = 90.0
"""How long nobody takes a borrowed partition, if whoever borrowed it does not give it back."""
_LAPSES = {"$add": ["$lent_at", int(LENT_SECONDS * 1000)]}
_LAPSED = {"$and": [{"$gt": ["$lent_at", None]}, {"$lt": [_LAPSES, "$$NOW"]}]}


def open_client(settings: Settings) -> MongoClient[Document]:
    """A client whose every write is a majority write and whose instants are aware UTC."""
    return MongoClient(
        settings.mongo_url,
        appname=f"laurel-{settings.worker}",
        serverSelectionTimeoutMS=SERVER_SELECTION_MS,
        w="majority",
        journal=True,
        readConcernLevel="majority",
        tz_aware=True,
        tzinfo=UTC,
        retryWrites=True,
    )


def field_name(topic: str) -> str:
    """Topics have dots, which a document's field should not: `events.log` → `events_log`."""
    return topic.replace(".", "_")


class MongoTransaction:
    """The `Transaction` port on a session (see `ports.Transaction`). `suffix`: of the names of the
    service's own collections, for a second set of them."""

    def __init__(
        self, session: ClientSession, database: Database[Document], prefix: str, suffix: str = ""
    ) -> None:
        self._session = session
        self._database = database
        self._prefix = prefix
        self._suffix = suffix

    def find(
        self, collection: str, ids: Many[Any] | None = None, service: str = ""
    ) -> list[Document]:
        database = self._database.client[f"{self._prefix}_{service}"] if service else self._database
        wanted = {} if ids is None else {"_id": {"$in": list(ids)}}
        name = collection if service else collection + self._suffix
        source = database.get_collection(name, codec_options=CODEC)
        return list(source.find(wanted, session=self._session))

    def insert(self, collection: str, documents: Sequence[Document]) -> None:
        if documents:
            self._own(collection).insert_many(documents, ordered=False, session=self._session)

    def put(self, collection: str, documents: Sequence[Document]) -> None:
        if documents:
            self._own(collection).bulk_write(
                [
                    ReplaceOne({"_id": document["_id"]}, document, upsert=True)
                    for document in documents
                ],
                ordered=False,
                session=self._session,
            )

    def update(self, collection: str, updates: Iterable[tuple[Any, Document]]) -> None:
        operations = [UpdateOne({"_id": key}, update, upsert=True) for key, update in updates]
        if operations:
            self._own(collection).bulk_write(operations, ordered=False, session=self._session)

    def remove(self, collection: str, ids: Many[Any]) -> None:
        if ids:
            self._own(collection).delete_many({"_id": {"$in": list(ids)}}, session=self._session)

    def move(self, before: Cursor, after: Cursor) -> bool:
        moved = self._own("cursors").update_one(
            {"_id": before.partition, "epoch": before.epoch, "batch": before.batch},
            {"$set": moved_fields(after)},
            session=self._session,
        )
        return moved.matched_count == 1

    def _own(self, collection: str) -> Collection[Document]:
        return self._database[collection + self._suffix]


def moved_fields(after: Cursor) -> Document:
    """What a batch changes in its cursor document; epoch and session belong to the take-over."""
    return {
        "batch": after.batch,
        "next": {field_name(topic): offset for topic, offset in after.next.items()},
        "seen": {field_name(topic): number for topic, number in after.seen.items()},
        "last": after.last,
        "announced": after.announced,
        "lineage": after.lineage,
        "marks": dict(after.marks),
    }


class MongoStore:
    """The `Store` port (see `ports.Store`) for one service and worker. `suffix`: see
    `MongoTransaction`."""

    def __init__(
        self,
        client: MongoClient[Document],
        settings: Settings,
        service: str,
        topics: Sequence[str],
        suffix: str = "",
    ) -> None:
        self._client = client
        self._prefix = settings.namespace
        self._suffix = suffix
        self._worker = settings.worker
        self._topics = {field_name(topic): topic for topic in topics}
        self._database: Database[Document] = client.get_database(
            settings.database(service), codec_options=CODEC, write_concern=MAJORITY
        )
        self._cursors = self._database["cursors" + suffix]
        self._session = client.start_session(causal_consistency=False)
        self._session_id = Binary(self._session.session_id["id"], 4)

    def close(self) -> None:
        """Ends the session; the client is the caller's."""
        self._session.end_session()

    def take_over(self, partition: int) -> Cursor:
        return self._taken(partition, {})

    def borrow(self, partition: int) -> Cursor:
        """Takes a partition over so that for `LENT_SECONDS` nobody else does, also no worker that
        is started meanwhile. Raises `Unavailable`, also where it is lent already."""
        return self._taken(partition, {"$currentDate": {"lent_at": True}})

    def _taken(self, partition: int, more: Document) -> Cursor:
        cursors = self._cursors
        try:
            former = cursors.find_one({"_id": partition}, {"session": 1, "lent_at": 1}) or {}
            if "lent_at" in former:
                lapsed = {"_id": partition, "$expr": _LAPSED}
                cursors.update_one(lapsed, {"$unset": {"lent_at": ""}})
            # A killed owner's open transaction would hold the cursor document for up to a minute.
            elif former.get("session") and former["session"] != self._session_id:
                self._client.admin.command("killSessions", [{"id": Binary(former["session"], 4)}])
            taken = cursors.find_one_and_update(
                {"_id": partition, "lent_at": {"$exists": False}},
                {
                    "$inc": {"epoch": 1},
                    "$set": {"session": self._session_id, "worker": self._worker},
                    "$setOnInsert": {"batch": 0},
                    **more,
                },
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError as error:
            raise Unavailable(f"partition {partition} is lent, or taken at this moment") from error
        except PyMongoError as error:
            raise Unavailable(f"taking partition {partition} over: {error}") from error
        return self._cursor(taken or {"_id": partition, "epoch": 1})

    def places(self, partitions: Many[int]) -> dict[int, Place]:
        try:
            found = self._cursors.find({"_id": {"$in": list(partitions)}}, {"epoch": 1, "batch": 1})
            return {
                cursor["_id"]: Place(cursor["epoch"], cursor.get("batch", 0)) for cursor in found
            }
        except PyMongoError as error:
            raise Unavailable(f"reading cursors: {error}") from error

    def holders(self, partitions: Many[int]) -> dict[int, str]:
        try:
            found = self._cursors.find(
                {"_id": {"$in": list(partitions)}}, {"session": 1, "worker": 1, "lapsed": _LAPSED}
            )
            return {
                cursor["_id"]: cursor["worker"]
                if cursor["session"] and not cursor["lapsed"]
                else ""
                for cursor in found
            }
        except PyMongoError as error:
            raise Unavailable(f"reading cursors: {error}") from error

    def give_back(self, partitions: Many[int]) -> None:
        """Lets go of partitions taken over here, as far as nobody has taken them since: the workers
        that lost them take them over again by themselves. Raises `Unavailable`."""
        ours = {"_id": {"$in": list(partitions)}, "session": self._session_id}
        gone = {"$set": {"session": None, "worker": ""}, "$unset": {"lent_at": ""}}
        try:
            self._cursors.update_many(ours, gone)
        except PyMongoError as error:
            raise Unavailable(f"giving partitions back: {error}") from error

    def transact(self, body: Callable[[Transaction], None]) -> None:
        session = self._session
        try:
            session.start_transaction(read_concern=SNAPSHOT, write_concern=MAJORITY)
            body(MongoTransaction(session, self._database, self._prefix, self._suffix))
        except PyMongoError as error:
            self._abort()
            raise _as_store_error(error) from error
        except BaseException:
            self._abort()
            raise
        self._commit()

    def _abort(self) -> None:
        # The server ends it anyway once the session's next transaction begins, or by its lifetime.
        with suppress(PyMongoError):
            if self._session.in_transaction:
                self._session.abort_transaction()

    def _commit(self) -> None:
        deadline = time.monotonic() + COMMIT_SECONDS
        while True:
            try:
                self._session.commit_transaction()
                return
            except PyMongoError as error:
                again = error.has_error_label("UnknownTransactionCommitResult")
                if not again or time.monotonic() > deadline:
                    raise UnknownCommit(str(error)) from error
                time.sleep(0.1)

    def _cursor(self, document: Document) -> Cursor:
        return Cursor(
            partition=document["_id"],
            epoch=document["epoch"],
            batch=document.get("batch", 0),
            next=self._by_topic(document.get("next", {})),
            seen=self._by_topic(document.get("seen", {})),
            last=document.get("last", 0),
            announced=document.get("announced", 0),
            lineage=document.get("lineage", ""),
            marks=document.get("marks", {}),
        )

    def _by_topic(self, values: Document) -> dict[str, int]:
        return {self._topics[name]: value for name, value in values.items() if name in self._topics}


@contextmanager
def store_errors() -> Iterator[None]:
    """Around a handler's own reads: what the driver raises, said in the projector's words."""
    try:
        yield
    except PyMongoError as error:
        raise _as_store_error(error) from error


def _as_store_error(error: PyMongoError) -> Exception:
    """Which of our three answers a driver's error calls for; others are bugs and pass through."""
    if isinstance(error, ConnectionFailure | AutoReconnect):
        return Unavailable(str(error))
    if isinstance(error, DuplicateKeyError) or error.has_error_label("TransientTransactionError"):
        return Conflict(str(error))
    if isinstance(error, OperationFailure):
        codes = {error.code} | {
            item.get("code") for item in (error.details or {}).get("writeErrors", ())
        }
        if DUPLICATE_KEY in codes or codes & ABORTED_BY_OTHERS:
            return Conflict(str(error))
    return error
