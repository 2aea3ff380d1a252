"""What the services would have written: histories of customers as documents, for reads to find."""

import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bson.binary import Binary
from pymongo import MongoClient

from services.query.cards import Announced, empty, evolve
from shared.contracts.actions import BUILT
from shared.contracts.decisions import number
from shared.contracts.facts import PointsEarned, PointsExpired, PointsSpent, PointsSubtracted
from shared.contracts.identity import closed_lot_key, dedupe_key
from shared.contracts.partitions import partition_of
from shared.runtime.deciding import fact_document
from shared.runtime.ports import Document
from shared.runtime.settings import Settings

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
SIGNS = {"points_earned": 1, "points_spent": -1, "points_subtracted": -1, "points_expired": -1}
FIELDS = {
    "points_spent": ("spent", 1),
    "points_expired": ("expired", 1),
    "points_subtracted": ("score", -1),
}
VERSIONS = itertools.count(1)
"""Of all programs: what a service has cached of a version stays right."""
NO_BALANCE = {"score": 0, "spent": 0, "pending": 0, "reserved": 0, "expired": 0}
OWNERS = ("customers", "points")
SERVICES = ("journal", "program", "query", *OWNERS)


def earned(
    points: int, account: str = "main", *, expires_at: datetime | None = None, n: int = 0
) -> Document:
    """A fact as points stores it."""
    return fact_document(PointsEarned(account, points, expires_at, n=n))


def spent(points: int, account: str = "main") -> Document:
    """Points that went, from no matter which lots."""
    return fact_document(PointsSpent(account, points, ()))


def subtracted(points: int) -> Document:
    """Points that were taken back."""
    return fact_document(PointsSubtracted("main", points, ()))


def expired(points: int) -> Document:
    """Points whose date has passed."""
    return fact_document(PointsExpired("main", points, ()))


class Given:
    """Writes documents in the services' shapes; every event is a second after the one before."""

    def __init__(self, client: MongoClient[Document], settings: Settings) -> None:
        self._settings = settings
        self._databases = {name: client[settings.database(name)] for name in SERVICES}
        self._seqs: dict[int, itertools.count[int]] = {}
        self._ids = itertools.count(1)
        self._events = itertools.count(1)
        self._version = 0
        self._balances: dict[tuple[str, str], dict[str, dict[str, int]]] = {}

    def of(self, service: str, collection: str) -> Any:
        """A collection, to put in what no method writes."""
        return self._databases[service][collection]

    def program(self, kind: str, id_: str, document: Document, tenant: str = "demo") -> None:
        """A revision, and the head that names it."""
        self._version = next(VERSIONS)
        self.of("program", "revisions").insert_one(
            {
                "_id": f"{tenant}/{kind}/{id_}/{self._version}", "tenant": tenant, "kind": kind,
                "id": id_, "version": self._version, "status": "active", "document": document,
            }
        )  # fmt: skip
        self.of("program", "heads").replace_one(
            {"_id": tenant}, {"version": self._version}, upsert=True
        )

    def submitted(
        self, customer: str, action: str, data: Mapping[str, Any], *, tenant: str = "demo",
        id_: str = "", time: datetime | None = None, **envelope: Any,
    ) -> Document:  # fmt: skip
        """An event that the journal has stored."""
        id_ = id_ or f"e-{next(self._ids)}"
        partition = partition_of(f"{tenant}/{customer}".encode(), self._settings.partitions)
        at = START + timedelta(seconds=next(self._events))
        body = {"id": id_, "customer": customer, "action": action, "data": data, **envelope}
        event = {
            "_id": Binary(dedupe_key(tenant, id_)), "id": id_, "tenant": tenant,
            "customer": customer, "action": action, "partition": partition,
            "seq": next(self._seqs.setdefault(partition, itertools.count(1))), "at": at,
            "time": time or at, "program": self._version, "content": "", "hops": 0,
            "body": json.dumps(body),
        }  # fmt: skip
        self.of("journal", "events").insert_one(event)
        return event

    def decided(self, event: Document, facts: Sequence[Document] = (), **more: Any) -> Document:
        """The owner's decision of an event, accepted unless `more` says otherwise."""
        owner = BUILT[event["action"]].owner
        tenant, customer = event["tenant"], event["customer"]
        balances = self._fold(tenant, customer, facts)
        decision = {
            "_id": number(event["partition"], event["seq"]), "previous": 0, "event": event["id"],
            "tenant": tenant, "customer": customer, "action": event["action"], "at": event["at"],
            "time": event["time"], "program": event["program"], "outcome": "accepted",
            "facts": list(facts), **more,
            "result": {"balances": balances} if owner == "points" else {"status": "active"},
        }  # fmt: skip
        self.of(owner, "decisions").insert_one(decision)
        if owner == "points" and balances:
            self.state(customer, tenant=tenant)
        return decision

    def happened(
        self, customer: str, action: str, data: Mapping[str, Any], facts: Sequence[Document] = (),
        *, tenant: str = "demo", id_: str = "", **more: Any,
    ) -> Document:  # fmt: skip
        """An event and its decision."""
        return self.decided(
            self.submitted(customer, action, data, tenant=tenant, id_=id_), facts, **more
        )

    def added(
        self, customer: str, points: int, *, tenant: str = "demo", id_: str = "", **fact: Any
    ) -> Document:
        """A `point_add`."""
        data = {"points": points, "reason": "a gift"}
        facts = [earned(points, **fact)]
        return self.happened(customer, "point_add", data, facts, tenant=tenant, id_=id_)

    def checked_out(
        self, customer: str, transaction: str, *, total: int = 1000, currency: str = "EUR",
        account: str = "main", rewarded: int = 10, tenant: str = "demo",
        data: Mapping[str, Any] | None = None,
    ) -> Document:  # fmt: skip
        """A `checkout` that was accepted at once."""
        record = {
            "id": transaction, "account": account, "total": total, "currency": currency,
            "rewarded": rewarded, "burned": 0, "digest": b"",
        }  # fmt: skip
        sent = {"transaction_id": transaction, **(data or {})}
        facts = [earned(rewarded, account)]
        return self.happened(customer, "checkout", sent, facts, tenant=tenant, transaction=record)

    def joined(self, customer: str, *, tenant: str = "demo", **profile: Any) -> Document:
        """An `opt_in`: customers' decision, profile; points' state follows."""
        decision = self.happened(
            customer, "opt_in", {}, [{"type": "customer_opted_in", "generation": 0}], tenant=tenant
        )
        self.profile(customer, tenant=tenant, **profile)
        self.state(customer, tenant=tenant)
        return decision

    def profile(self, customer: str, *, tenant: str = "demo", **fields: Any) -> None:
        """A document of `customers.profiles`."""
        key = f"{tenant}/{customer}"
        known = {"standing": "active", "generation": 0, "since": 0, "labels": [], **fields}
        self.of("customers", "profiles").replace_one(
            {"_id": key}, {"tenant": tenant, "customer": customer, **known}, upsert=True
        )

    def state(
        self,
        customer: str,
        *,
        tenant: str = "demo",
        due: Mapping[str, datetime] | None = None,
        **fields: Any,
    ) -> None:
        """The document of `points.states` with the balances so far."""
        key = f"{tenant}/{customer}"
        accounts = {
            account: {**balance, "made": 1, "due": (due or {}).get(account)}
            for account, balance in self._balances.get((tenant, customer), {}).items()
        }
        known = {"standing": "active", "generation": 0, "since": 0, "accounts": accounts, **fields}
        self.of("points", "states").replace_one(
            {"_id": key}, {"tenant": tenant, "customer": customer, **known}, upsert=True
        )

    def lot(
        self, customer: str, event: str, points: int, *, used: int = 0, held: int = 0, n: int = 0,
        expires_at: datetime | None = None, account: str = "main", page: int = 0,
        tenant: str = "demo",
    ) -> None:  # fmt: skip
        """An open lot in its page."""
        key = f"{tenant}/{customer}"
        lot = {
            "event": event, "n": n, "points": points, "used": used, "held": held,
            "earned_at": START, "expires_at": expires_at,
        }  # fmt: skip
        self.of("points", "lots").update_one(
            {"_id": f"{key}/0/{account}/{page}"},
            {"$push": {"lots": lot}, "$set": {"customer": key, "account": account, "n": page}},
            upsert=True,
        )

    def closed(
        self, customer: str, event: str, *, used: int, expired: int = 0, tenant: str = "demo"
    ) -> None:
        """A lot that has left its page."""
        self.of("points", "closed").insert_one(
            {"_id": closed_lot_key(f"{tenant}/{customer}", 0, event, 0, "main")}
            | {"used": used, "expired": expired}
        )

    def card(
        self, customer: str, *, tenant: str = "demo", status: str = "active", **balance: int
    ) -> None:
        """A card with one account."""
        key = f"{tenant}/{customer}"
        card = evolve(empty(key, tenant, customer), Announced(status=status))
        self.of("query", "cards").insert_one({**card, **balance})

    def passed(self, service: str, partition: int, **fields: Any) -> None:
        """The position of a service in a partition."""
        self.of(service, "cursors").replace_one({"_id": partition}, fields, upsert=True)

    def _fold(self, tenant: str, customer: str, facts: Sequence[Document]) -> Document:
        accounts = self._balances.setdefault((tenant, customer), {})
        touched = {fact["account"] for fact in facts if "account" in fact}
        for fact in facts:
            if "account" in fact:
                balance = accounts.setdefault(fact["account"], dict(NO_BALANCE))
                field, sign = FIELDS.get(fact["type"], ("score", 1))
                balance[field] += sign * fact.get("points", 0)
        return {
            account: {**accounts[account], "spendable": spendable(accounts[account])}
            for account in sorted(touched)
        }


def spendable(balance: Mapping[str, int]) -> int:
    """The invariant of DESIGN section 5."""
    return balance["score"] - balance["spent"] - balance["expired"] - balance["reserved"]
