"""The ledger: balances and lots, added up from the facts of decisions by arithmetic of its own.

It knows what each fact says and no rule of points, so that it is a second opinion on both.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cli.verify.documents import customer_of, unlike
from cli.verify.findings import Findings
from shared.contracts.identity import closed_lot_key
from shared.runtime.ports import Document

DECISIONS = "points.decisions"
PAGE_LOTS = 32
"""Lot number k of an account is in page k // 32 for good; the last page, which still fills, is kept
in the account's state."""


@dataclass(slots=True)
class Lot:
    """What an earning left; `made` is its number among the account's lots."""

    event: str
    n: int
    points: int
    used: int
    earned_at: datetime
    expires_at: datetime | None
    made: int

    @property
    def left(self) -> int:
        """Points that are still there."""
        return self.points - self.used


@dataclass(slots=True)
class Account:
    """`lots` are the open ones in the order of making, `open` is what they hold together."""

    score: int = 0
    spent: int = 0
    pending: int = 0
    reserved: int = 0
    expired: int = 0
    made: int = 0
    lots: dict[tuple[str, int], Lot] = field(default_factory=dict)
    open: int = 0

    @property
    def spendable(self) -> int:
        """Below zero in debt."""
        return self.score - self.spent - self.expired - self.reserved

    @property
    def due(self) -> datetime | None:
        """The earliest expiry of what is open."""
        return min((lot.expires_at for lot in self.lots.values() if lot.expires_at), default=None)

    def balances(self) -> dict[str, int]:
        """As a decision shows them."""
        return {
            "score": self.score,
            "spent": self.spent,
            "pending": self.pending,
            "reserved": self.reserved,
            "expired": self.expired,
            "spendable": self.spendable,
        }


@dataclass(slots=True)
class Customer:
    """`forgotten`: the decision with which the generation before this one ended."""

    tenant: str
    id: str
    standing: str | None = None
    generation: int = 1
    forgotten: int = 0
    accounts: dict[str, Account] = field(default_factory=dict)


@dataclass(slots=True)
class Ledger:
    """Of one partition; what cannot be is a difference of the decision that says it."""

    found: Findings
    customers: dict[str, Customer] = field(default_factory=dict)
    closed: dict[str, dict[str, int]] = field(default_factory=dict)
    """Lots that are used up or expired, as they are stored."""
    _astray: set[str] = field(default_factory=set)
    """Whose balances differed already: all that follow would."""

    def fold(self, decision: Document) -> None:
        """The next decision of the partition."""
        facts = decision["facts"]
        if not facts and "transaction" not in decision:
            return
        key = customer_of(decision)
        customer = self.customers.get(key)
        if customer is None:
            customer = Customer(decision["tenant"], decision["customer"])
            if facts:
                self.customers[key] = customer
        for fact in facts:
            if sentence := self._take(customer, fact, decision):
                self.found.differ(DECISIONS, key, decision["_id"], sentence)
        if key not in self._astray and (sentence := _unbalanced(customer, decision)):
            self._astray.add(key)
            self.found.differ(DECISIONS, key, decision["_id"], sentence)

    def _take(self, customer: Customer, fact: Document, decision: Document) -> str:
        kind = fact["type"]
        if kind == "standing_changed":
            return _standing(customer, fact, decision)
        if kind not in ON_ACCOUNT:
            return f"states {kind!r}, a fact that verify does not know"
        account = customer.accounts.setdefault(fact["account"], Account())
        return "; ".join(ON_ACCOUNT[kind](self, (customer, account), fact, decision))

    def close(self, customer: Customer, account: str, lot: Lot, expired: int) -> None:
        """A lot of which nothing is left, `expired` of its points just now."""
        key = f"{customer.tenant}/{customer.id}"
        id_ = closed_lot_key(key, customer.generation, lot.event, lot.n, account)
        self.closed[id_] = {"used": lot.used - expired, "expired": expired}


Of = tuple[Customer, Account]


def _earned(ledger: Ledger, of: Of, fact: Document, decision: Document) -> Iterator[str]:
    customer, account = of
    points, paid = fact["points"], fact.get("debt_paid", 0)
    if not 0 <= paid <= points:
        yield f"pays {paid} of a debt with a lot of {points}"
    lot = Lot(
        event=decision["event"],
        n=fact.get("n", 0),
        points=points,
        used=paid,
        earned_at=decision["time"],
        expires_at=fact["expires_at"],
        made=account.made,
    )
    account.score += points
    account.made += 1
    if (lot.event, lot.n) in account.lots:
        yield f"makes lot {lot.event}/{lot.n} a second time"
    if lot.left:
        account.lots[lot.event, lot.n] = lot
        account.open += lot.left
    else:
        ledger.close(customer, fact["account"], lot, 0)


def _spent(ledger: Ledger, of: Of, fact: Document, _decision: Document) -> Iterator[str]:
    of[1].spent += fact["points"]
    yield from _used(ledger, of, fact)


def _subtracted(ledger: Ledger, of: Of, fact: Document, _decision: Document) -> Iterator[str]:
    of[1].score -= fact["points"]
    yield from _used(ledger, of, fact)


def _expired(ledger: Ledger, of: Of, fact: Document, decision: Document) -> Iterator[str]:
    account = of[1]
    account.expired += fact["points"]
    for use in fact["lots"]:
        lot = account.lots.get((use["event"], use["n"]))
        if lot is not None and (lot.expires_at is None or lot.expires_at > decision["at"]):
            yield f"expires lot {lot.event}/{lot.n} before its date"
    yield from _used(ledger, of, fact, expires=True)


def _opened(_ledger: Ledger, _of: Of, _fact: Document, _decision: Document) -> Iterator[str]:
    return iter(())


ON_ACCOUNT: dict[str, Callable[[Ledger, Of, Document, Document], Iterator[str]]] = {
    "points_earned": _earned,
    "points_spent": _spent,
    "points_subtracted": _subtracted,
    "points_expired": _expired,
    "account_opened": _opened,
}


def _used(ledger: Ledger, of: Of, fact: Document, *, expires: bool = False) -> Iterator[str]:
    customer, account = of
    total = fact.get("owed", 0)
    for use in fact["lots"]:
        points = use["points"]
        total += points
        lot = account.lots.get((use["event"], use["n"]))
        if lot is None or not 0 < points <= lot.left:
            left = "is not open" if lot is None else f"has {lot.left}"
            yield f"takes {points} points of lot {use['event']}/{use['n']}, which {left}"
            continue
        lot.used += points
        account.open -= points
        if not lot.left:
            del account.lots[lot.event, lot.n]
            ledger.close(customer, fact["account"], lot, points if expires else 0)
    if total != fact["points"]:
        yield f"takes {fact['points']} points, but lots and debt give {total}"


def _standing(customer: Customer, fact: Document, decision: Document) -> str:
    customer.standing = fact["standing"]
    if fact["forgotten"]:
        customer.generation += 1
        customer.forgotten = decision["_id"]
        customer.accounts = {}
    return ""


def _unbalanced(customer: Customer, decision: Document) -> str:
    """What the decision says of balances after it, and is not so; and what no balance may be."""
    touched = {fact["account"] for fact in decision["facts"] if "account" in fact}
    if transaction := decision.get("transaction"):
        touched.add(transaction["account"])
    accounts = {id_: customer.accounts.get(id_) or Account() for id_ in touched}
    stated: dict[str, Any] = decision["result"]["balances"]
    if stated.keys() != touched:
        return f"shows balances of {sorted(stated)}, but touches {sorted(touched)}"
    for id_, account in accounts.items():
        if stated[id_] != (balances := account.balances()):
            return f"account {id_} as shown after it: {unlike(stated[id_], balances)}, by the facts"
        if wrong := impossible(account):
            return f"leaves account {id_} with {wrong}"
    return ""


def impossible(account: Account) -> str:
    """What never holds of balances and open lots (DESIGN section 5); empty: all is well."""
    for name, amount in account.balances().items():
        if amount < 0 and name not in ("score", "spendable"):
            return f"{name} {amount}, below zero"
    expected = max(0, account.spendable) + account.reserved
    if account.open != expected:
        return f"{expected} points to be covered, but {account.open} in open lots"
    return ""
