"""Heads and revisions: a program's versions as documents, each written once."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pymongo
from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from services.program.domain.revisions import Change, Decision, Program, Refused, Revision, evolve

Stored = dict[str, Any]
Decide = Callable[[Program], Decision]
Accepted = tuple[Program, Program]
"""The program before and after; the same one where nothing changed."""

REQUEST_SECONDS = 10
"""What the database may take for one request, waiting for a majority and retries included."""
PROBE_SECONDS = 1.5
MAJORITY = WriteConcern("majority", j=True)
LATEST_FIRST = [("tenant", -1), ("kind", -1), ("id", -1), ("version", -1)]


class Contended(Exception):
    """Other writers of the same program came first again and again; nothing was written."""


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which changes of a tenant's history are asked for; `None`: all."""

    kind: str | None = None
    id: str | None = None


class ProgramRepository:
    """The database `program`: `heads {_id: tenant, version}` and `revisions`, which only grow."""

    def __init__(self, client: AsyncMongoClient[Stored], database: str) -> None:
        self._client = client
        self._database = client.get_database(
            database,
            codec_options=CodecOptions(tz_aware=True, tzinfo=UTC),
            read_concern=ReadConcern("majority"),
            write_concern=MAJORITY,
        )
        self._heads = self._database["heads"]
        self._revisions = self._database["revisions"]
        # Writers of one process queue here instead of aborting each other's transactions. Tenants
        # come from the table of credentials, so there are few.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def prepare(self) -> None:
        """Makes the indexes. The second one also proves that no version was given twice."""
        await self._revisions.create_index([("tenant", 1), ("kind", 1), ("id", 1), ("version", 1)])
        await self._revisions.create_index([("tenant", 1), ("version", 1)], unique=True)

    async def answers(self) -> bool:
        """Whether the database does, soon enough for a probe."""
        try:
            with pymongo.timeout(PROBE_SECONDS):
                await self._database.command("ping")
        except PyMongoError:
            return False
        return True

    async def entity(self, tenant: str, kind: str, id_: str) -> Revision | None:
        """The latest revision of one entity."""
        with pymongo.timeout(REQUEST_SECONDS):
            query = {"tenant": tenant, "kind": kind, "id": id_}
            found = await self._revisions.find_one(query, sort=LATEST_FIRST)
        return _revision(found) if found else None

    async def entities(self, tenant: str, kind: str) -> list[Revision]:
        """The latest revision of every entity of a kind, archived ones too; in no order."""
        with pymongo.timeout(REQUEST_SECONDS):
            return await self._latest({"tenant": tenant, "kind": kind})

    async def program(self, tenant: str) -> Program:
        """The program as it is now, settings and archived entities too."""
        with pymongo.timeout(REQUEST_SECONDS):
            found = await self._latest({"tenant": tenant})
        version = max((revision.version for revision in found), default=0)
        return Program(version, {(revision.kind, revision.id): revision for revision in found})

    async def history(
        self,
        tenant: str,
        only: HistoryFilter,
        *,
        limit: int,
        after: int | None = None,
        newest_first: bool = True,
    ) -> list[Stored]:
        """Revisions as they are stored, by version; `after` is the version before the first one."""
        query = _history_query(tenant, only)
        if after is not None:
            query["version"] = {"$lt" if newest_first else "$gt": after}
        with pymongo.timeout(REQUEST_SECONDS):
            found = self._revisions.find(query).sort("version", -1 if newest_first else 1)
            return await found.limit(limit).to_list()

    async def history_count(self, tenant: str, only: HistoryFilter) -> int:
        """How many revisions `history` would give without a limit."""
        with pymongo.timeout(REQUEST_SECONDS):
            return await self._revisions.count_documents(_history_query(tenant, only))

    async def change(
        self, tenant: str, by: str, now: datetime, decide: Decide
    ) -> Accepted | Refused:
        """Decides on the present program and writes what changes: all of it, or nothing.

        `decide` is called again where another writer came first. Returns after a majority has the
        change, so whoever reads the head from then on reads it. Raises `Contended`.
        """
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)  # what BSON can hold

        async def attempt(session: AsyncClientSession) -> Accepted | Refused:
            return await self._attempt(session, tenant, by, at, decide)

        with pymongo.timeout(REQUEST_SECONDS):
            # Outside the transaction: two that insert one id fail in ways that nobody retries.
            await self._heads.update_one(
                {"_id": tenant}, {"$setOnInsert": {"version": 0}}, upsert=True
            )
            async with self._turns[tenant], self._client.start_session() as session:
                try:
                    return await session.with_transaction(
                        attempt, ReadConcern("snapshot"), MAJORITY
                    )
                except OperationFailure as error:
                    if error.has_error_label("TransientTransactionError"):
                        raise Contended from error
                    raise

    async def _attempt(
        self, session: AsyncClientSession, tenant: str, by: str, at: datetime, decide: Decide
    ) -> Accepted | Refused:
        # Writing the head first takes its lock: what is read after it cannot change before commit.
        head = await self._heads.find_one_and_update(
            {"_id": tenant},
            {"$inc": {"version": 1}},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        version = head["version"] - 1 if head else 0
        entities = await self._latest({"tenant": tenant}, session)
        before = Program(version, {(found.kind, found.id): found for found in entities})
        decision = decide(before)
        if isinstance(decision, Refused) or not decision:
            await session.abort_transaction()
            return decision if isinstance(decision, Refused) else (before, before)
        after = evolve(before, decision, at, by)
        await self._write(session, tenant, decision, before, after)
        return before, after

    async def _write(
        self,
        session: AsyncClientSession,
        tenant: str,
        changes: Sequence[Change],
        before: Program,
        after: Program,
    ) -> None:
        await self._revisions.insert_many(
            [_stored(tenant, change, before, after) for change in changes], session=session
        )
        await self._heads.update_one(
            {"_id": tenant}, {"$set": {"version": after.version}}, session=session
        )

    async def _latest(
        self, query: Mapping[str, str], session: AsyncClientSession | None = None
    ) -> list[Revision]:
        found = await self._revisions.aggregate(
            [
                {"$match": query},
                {"$sort": dict(LATEST_FIRST)},
                {"$group": {"_id": {"kind": "$kind", "id": "$id"}, "it": {"$first": "$$ROOT"}}},
            ],
            session=session,
        )
        return [_revision(group["it"]) async for group in found]


def _history_query(tenant: str, only: HistoryFilter) -> Stored:
    named = {"kind": only.kind, "id": only.id}
    return {"tenant": tenant, **{name: value for name, value in named.items() if value is not None}}


def _stored(tenant: str, change: Change, before: Program, after: Program) -> Stored:
    was, made = before.get(change.kind, change.id), after.entities[change.kind, change.id]
    return {
        "_id": f"{tenant}/{made.kind}/{made.id}/{made.version}",
        "tenant": tenant,
        "kind": made.kind,
        "id": made.id,
        "version": made.version,
        "status": made.status,
        "document": made.document,
        "created_at": made.created_at,
        "created_version": made.created_version,
        "updated_at": made.updated_at,
        "updated_by": made.updated_by,
        "change": change.verb,
        "before": was.document if was else None,
        "before_status": was.status if was else None,
    }


def _revision(stored: Stored) -> Revision:
    return Revision(
        kind=stored["kind"],
        id=stored["id"],
        version=stored["version"],
        status=stored["status"],
        document=stored["document"],
        created_at=stored["created_at"],
        created_version=stored["created_version"],
        updated_at=stored["updated_at"],
        updated_by=stored["updated_by"],
    )
