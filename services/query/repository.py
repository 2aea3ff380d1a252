"""Documents that reads need: the services' published collections, read-only, and our own cards."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bson.binary import Binary
from bson.codec_options import TypeDecoder, TypeRegistry
from bson.int64 import Int64
from pymongo import ASCENDING, AsyncMongoClient, IndexModel, MongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from services.query.cards import TOTALS
from services.query.known import Known, of_tenant
from services.query.paging import Sort
from services.query.streams import CHANGES, Stored, stored
from shared.contracts import program
from shared.contracts.actions import BUILT
from shared.contracts.decisions import number
from shared.contracts.identity import dedupe_key
from shared.runtime.http import Problem
from shared.runtime.mongo import CODEC
from shared.runtime.ports import Document
from shared.runtime.settings import Settings

SERVICES = ("journal", "program", "customers", "points", "query")
SORTED_CARD_FIELDS = ("score", "spent", "expired", "spendable", "status")
"""What the customer list can be ordered by, besides its id (which `_id` orders already)."""
PROGRAMS_KEPT_MAX = 256


class PlainIntegers(TypeDecoder):
    """Numbers beyond 32 bits come as a class of the driver's own, which JSON encoders refuse."""

    bson_type = Int64

    def transform_bson(self, value: int) -> int:
        """The same number as Python's own."""
        return int(value)


READS = CODEC.with_options(type_registry=TypeRegistry([PlainIntegers()]))


def create_card_indexes(client: MongoClient[Document], settings: Settings) -> None:
    """The orders of the customer list. Elsewhere reads make do with what the owners have."""
    client[settings.database("query")]["cards"].create_indexes(
        [
            IndexModel([("tenant", ASCENDING), (field, ASCENDING), ("_id", ASCENDING)])
            for field in SORTED_CARD_FIELDS
        ]
    )


@dataclass(frozen=True, slots=True)
class Program:
    """Of a tenant's latest program what reads need."""

    settings: program.Settings
    accounts: Mapping[str, Document]


class Repository:
    """Every read is of one tenant. Raises PyMongo's errors where MongoDB does not answer."""

    def __init__(self, client: AsyncMongoClient[Document], settings: Settings) -> None:
        self._client = client
        self.databases: dict[str, AsyncDatabase[Document]] = {
            service: client.get_database(settings.database(service), codec_options=READS)
            for service in SERVICES
        }
        self._cards = self.databases["query"]["cards"]
        self._journal = self.databases["journal"]["events"]
        self._profiles = self.databases["customers"]["profiles"]
        self._states = self.databases["points"]["states"]
        self._programs: dict[str, tuple[int, Program]] = {}

    async def ping(self) -> None:
        """Raises if MongoDB does not answer."""
        await self._client.admin.command("ping")

    async def event(self, tenant: str, id_: str) -> Document | None:
        """An event as the journal stored it."""
        return await self._journal.find_one(
            {"_id": Binary(dedupe_key(tenant, id_)), "tenant": tenant}
        )

    async def decision(self, event: Document) -> Document | None:
        """What the event's owner decided; of one that waits parked its record; else `None`."""
        owned = BUILT.get(event["action"])
        if owned is None:
            return None
        partition, seq = event["partition"], event["seq"]
        place = {"$gte": number(partition, seq), "$lt": number(partition, seq + 1)}
        decisions = self.decisions(owned.owner)
        decision = await decisions.find_one(
            {"_id": place, "event": event["id"], "tenant": event["tenant"]}, sort=[("_id", 1)]
        )
        if decision is not None:
            return decision
        parked = await self.databases[owned.owner]["parked"].find_one(
            {"_id": number(partition, seq)}
        )
        if parked is None or "decision" not in parked:
            return parked
        return await decisions.find_one({"_id": parked["decision"]})  # it was unparked

    async def cards(
        self, match: Document, sort: Sort, place: tuple[int | str, str] | None, limit: int
    ) -> list[Document]:
        """Cards of one tenant in order, behind `place`: a value, and the id among equal ones."""
        tenant, direction = match["tenant"], sort.direction
        key = {"_id": {sort.behind: f"{tenant}/{place[1]}"}} if place else {}
        if sort.by == "id":  # `_id` orders ids within a tenant
            order = {"_id": direction}
            within = [{"_id": of_tenant(tenant)}, key]
        else:
            order = {sort.by: direction, "_id": direction}
            within = _behind(sort, place[0], key) if place else []
        found = self._cards.find({"$and": [match, *within]}).sort(order).limit(limit)
        return await found.to_list()

    async def count_cards(self, match: Document) -> int:
        """How many cards fit."""
        return await self._cards.count_documents(match)

    async def cards_of(self, keys: Iterable[str]) -> list[Document]:
        """The cards of these customers."""
        return await self._cards.find({"_id": {"$in": list(keys)}}).to_list()

    async def totals(self, tenant: str, account: str, opens: Sequence[str]) -> dict[str, int]:
        """Sums of one account's balances, and of how many `customers` one of `opens` is not 0.

        The id is one of the program's: it holds no dot and begins with no `$`.
        """
        balance = f"$accounts.{account}"
        is_open = {"$or": [{"$ne": [f"{balance}.{name}", 0]} for name in opens]}
        sums = {name: {"$sum": f"{balance}.{name}"} for name in TOTALS}
        steps: list[Document] = [
            {"$match": {"_id": of_tenant(tenant), f"accounts.{account}": {"$exists": True}}},
            {"$group": {"_id": None, "customers": {"$sum": {"$cond": [is_open, 1, 0]}}, **sums}},
            {"$project": {"_id": 0}},
        ]
        found = await (await self._cards.aggregate(steps)).to_list(1)
        return found[0] if found else dict.fromkeys(("customers", *TOTALS), 0)

    async def count_parked(self, tenant: str) -> int:
        """Customers for whom points has events that are not decided."""
        parked = self.databases["points"]["parked_customers"]
        return await parked.count_documents({"tenant": tenant})

    async def stored(self, tenant: str, decisions: Iterable[Document]) -> dict[str, Stored]:
        """What clients sent, by event id, for those decisions that an event stands behind."""
        keys = [Binary(dedupe_key(tenant, decision["event"])) for decision in decisions]
        found = self._journal.find({"_id": {"$in": keys}}, {"id": 1, "body": 1})
        return {event["id"]: stored(event) async for event in found}

    def decisions(self, service: str) -> AsyncCollection[Document]:
        """What an owner has decided."""
        return self.databases[service]["decisions"]

    async def customer(self, tenant: str, id_: str) -> Known | None:
        """A customer; `None` if nobody has heard of one with this id."""
        key = f"{tenant}/{id_}"
        profile = await self._profiles.find_one({"_id": key})
        state = await self._states.find_one({"_id": key})
        return Known(tenant, id_, profile, state) if profile or state else None

    async def known(self, tenant: str, id_: str) -> Known:
        """The same; 404 `customer_unknown` instead of `None`."""
        customer = await self.customer(tenant, id_)
        if customer is None:
            raise Problem("customer_unknown")
        return customer

    async def count_changes(self, match: Document, account: str | None) -> int:
        """Rows of a points history: for each decision the accounts that it changed."""
        if account is not None:
            return await self.decisions("points").count_documents(match)
        changes = {"$filter": {"input": "$facts", "cond": {"$in": ["$$this.type", list(CHANGES)]}}}
        accounts = {"$setUnion": [{"$map": {"input": changes, "in": "$$this.account"}}]}
        rows = {"_id": None, "rows": {"$sum": {"$size": accounts}}}
        steps = [{"$match": match}, {"$group": rows}]
        counted = await (await self.decisions("points").aggregate(steps)).to_list(1)
        return int(counted[0]["rows"]) if counted else 0

    async def since(self, tenant: str, customers: Iterable[str]) -> dict[str, int]:
        """From which decision on each of these customers may be named; missing: from the first."""
        keys = {f"{tenant}/{customer}": customer for customer in customers}
        found = self._states.find({"_id": {"$in": list(keys)}, "since": {"$gt": 0}}, {"since": 1})
        return {keys[state["_id"]]: state["since"] async for state in found}

    async def program(self, tenant: str) -> Program:
        """The tenant's program as it is now; versions never change, so one is read only once."""
        database = self.databases["program"]
        head = await database["heads"].find_one({"_id": tenant}) or {"version": 0}
        version, known = self._programs.get(tenant, (-1, NO_PROGRAM))
        if version != head["version"]:
            wanted = {
                "tenant": tenant,
                "kind": {"$in": ["accounts", "settings"]},
                "version": {"$lte": head["version"]},
            }
            revisions = database["revisions"].find(wanted).sort("version", ASCENDING)
            known = _program([revision async for revision in revisions])
            if len(self._programs) >= PROGRAMS_KEPT_MAX:
                self._programs.clear()
            self._programs[tenant] = (head["version"], known)
        return known


NO_PROGRAM = Program(program.Settings(), {})


def _program(revisions: Iterable[Document]) -> Program:
    accounts: dict[str, Document] = {}
    settings = NO_PROGRAM.settings
    for revision in revisions:
        if revision["kind"] == "accounts":
            accounts[revision["id"]] = revision
        else:
            settings = program.Settings.model_validate(revision["document"])
    return Program(settings, accounts)


def _behind(sort: Sort, value: int | str, key: Document) -> list[Document]:
    """The first condition tells the index where to begin, which the second does not."""
    return [{sort.by: {f"{sort.behind}e": value}}, {"$or": [{sort.by: {sort.behind: value}}, key]}]
