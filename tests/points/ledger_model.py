"""A ledger as one would write it on paper: the independent model that the real one is held against.

One dictionary a customer, mutable, every lot always in sight, every rule spelt out once more.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.contracts.events import Checkout, Event, OptOut, PointAdd, PointTake


@dataclass
class PaperLot:
    event: str
    left: int
    expires_at: datetime | None
    earned_at: datetime
    order: int


@dataclass
class PaperAccount:
    score: int = 0
    spent: int = 0
    expired: int = 0
    lots: list[PaperLot] = field(default_factory=list)

    @property
    def spendable(self) -> int:
        return self.score - self.spent - self.expired


class RefusalError(Exception):
    """The paper says no; its only argument is the code."""


@dataclass
class Paper:
    """`negative`: accounts that may go below zero; everything on `main` if no account is named."""

    negative: frozenset[str]
    standing: str = "unknown"
    accounts: dict[str, PaperAccount] = field(default_factory=dict)
    transactions: dict[str, bytes] = field(default_factory=dict)
    orders: int = 0

    def write(self, event: Event) -> str:
        """The outcome: `accepted`, `followed`, or a code."""
        if event.action in ("opt_in", "opt_out", "suspend", "unsuspend"):
            self._standing(event)
            return "followed"
        data: Any = event.data
        if isinstance(data, Checkout) and self.transactions.get(data.transaction_id) == (
            event.digest
        ):
            return "accepted"
        try:
            self._move(event)
        except RefusalError as refusal:
            return str(refusal)
        return "accepted"

    def _standing(self, event: Event) -> None:
        legal = {
            ("opt_in", "unknown"): "active",
            ("opt_in", "inactive"): "active",
            ("opt_in", "opted_out"): "active",
            ("suspend", "active"): "suspended",
            ("unsuspend", "suspended"): "active",
            ("opt_out", "inactive"): "opted_out",
            ("opt_out", "active"): "opted_out",
            ("opt_out", "suspended"): "opted_out",
        }
        after = legal.get((event.action, self.standing))
        if after is None:
            return
        if after == "opted_out":
            banned = isinstance(event.data, OptOut) and event.data.banned
            after = "banned" if banned else "opted_out"
            self.accounts, self.transactions = {}, {}
        self.standing = after

    def _move(self, event: Event) -> None:
        data: Any = event.data
        burned = data.points_burned if isinstance(data, Checkout) else None
        takes = bool(burned) or event.action == "point_spend"
        self._admit(event, spends=takes)
        account = self.accounts.get(event.account or "main", PaperAccount())
        due = [
            lot for lot in account.lots if lot.expires_at and lot.expires_at <= event.recorded_at
        ]
        lapsing = sum(lot.left for lot in due)
        if isinstance(data, Checkout) and data.transaction_id in self.transactions:
            raise RefusalError("transaction_exists")
        asked = data.points if isinstance(data, PointTake) else burned or 0
        may_owe = (event.account or "main") in self.negative
        if asked > account.spendable - lapsing and asked and not may_owe:
            raise RefusalError("insufficient_points")
        account.expired += lapsing
        account.lots = [lot for lot in account.lots if lot not in due]
        self._take(account, asked)
        if event.action == "point_sub":
            account.score -= asked
        else:
            account.spent += asked
        if isinstance(data, PointAdd):
            self._earn(account, event, data.points, data.expires_at)
        if isinstance(data, Checkout):
            assert data.total is not None
            self._earn(account, event, _tenth(int(data.total * 100)), None)
            self.transactions[data.transaction_id] = event.digest
        if account.score or account.spent or account.lots:
            self.accounts[event.account or "main"] = account

    def _admit(self, event: Event, *, spends: bool) -> None:
        guest = isinstance(event.data, Checkout) and event.data.guest
        if self.standing == "unknown" and guest and not spends:
            self.standing = "inactive"
        if self.standing == "unknown":
            raise RefusalError("customer_unknown")
        if self.standing in ("opted_out", "banned"):
            raise RefusalError("customer_opted_out")
        if spends and self.standing != "active":
            raise RefusalError(f"customer_{self.standing}")

    def _take(self, account: PaperAccount, points: int) -> None:
        for lot in sorted(account.lots, key=_first_to_go):
            part = min(points, lot.left)
            lot.left -= part
            points -= part
        account.lots = [lot for lot in account.lots if lot.left]

    def _earn(
        self, account: PaperAccount, event: Event, points: int, expires_at: datetime | None
    ) -> None:
        owed = max(0, -account.spendable)
        account.score += points
        self.orders += 1
        if points > owed:
            account.lots.append(
                PaperLot(event.id, points - owed, expires_at, event.time, self.orders)
            )


def _first_to_go(lot: PaperLot) -> tuple[bool, datetime, datetime, int]:
    return lot.expires_at is None, lot.expires_at or lot.earned_at, lot.earned_at, lot.order


def _tenth(cents: int) -> int:
    """Ten percent of whole euros, half up: 1,000 cents are a point, 500 more are another."""
    return cents // 1000 + (cents % 1000 >= 500)
