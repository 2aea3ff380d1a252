"""The load that verify is tried on: the crash test's, and lots that expire, people who leave."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tests.faults.model import Load

ACCOUNTS: dict[str, dict[str, object]] = {
    "main": {"init_on_opt_in": True, "earn": {"percent": 10}},
    "credit": {"init_on_opt_in": False, "negative_points": True},
}
"""Of the program: the default, and one that may go below zero."""
SOON = timedelta(seconds=2)
FAR = timedelta(days=300)


class Mixed:
    """Every third event is one of these; the same for the same seed and beginning."""

    def __init__(self, load: Load, began: datetime) -> None:
        self._load = load
        self._chance = random.Random(load.seed + 1)
        self._began = began
        self._number = 0

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """`(customer, value)` in the order of sending."""
        for count, sent in enumerate(self._load):
            yield sent
            if count >= self._load.customers and count % 2:
                yield self._one()

    def _one(self) -> tuple[str, bytes]:
        customer = f"c-{self._chance.randrange(self._load.customers)}"
        kind = self._chance.randrange(100)
        if kind < 30:
            return self._event(customer, "point_add", self._expiring(SOON))
        if kind < 50:
            return self._event(customer, "point_add", self._expiring(FAR))
        points: dict[str, object] = {"points": self._chance.randrange(1, 40)}
        if kind < 60:
            return self._event(customer, "point_sub", points)
        if kind < 75:
            return self._event(customer, "point_spend", points, account="credit")
        if kind < 85:
            return self._event(customer, "point_add", points, account="credit")
        if kind < 88:
            guest = {"guest": True, "total": "35.00", "transaction_id": f"g-{self._number}"}
            return self._event(f"g-{self._chance.randrange(30)}", "checkout", guest)
        if kind < 95:  # these two never spend: they have full pages of lots
            saved = {"guest": True, "total": "25.00", "transaction_id": f"s-{self._number}"}
            return self._event(f"s-{self._chance.randrange(2)}", "checkout", saved)
        action = self._chance.choice(("suspend", "unsuspend", "opt_out", "opt_in", "opt_in"))
        return self._event(customer, action, {})

    def _expiring(self, within: timedelta) -> dict[str, object]:
        expires_at = self._began + within * self._chance.random()
        text = expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"points": self._chance.randrange(1, 60), "expires_at": text}

    def _event(
        self, customer: str, action: str, data: dict[str, object], account: str = ""
    ) -> tuple[str, bytes]:
        self._number += 1
        body = {
            "id": f"m-{self._number}",
            "customer": customer,
            "action": action,
            "account": account,
            "data": data,
        }
        return customer, json.dumps(body, separators=(",", ":")).encode()


def mixed(customers: int, events: int, seed: int = 7) -> Mixed:
    """A load that begins now."""
    return Mixed(Load(customers, events, seed=seed), datetime.now(UTC))
