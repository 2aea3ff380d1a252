"""What the tests of points are written with: programs, events, and where events lead."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from services.points.domain.customers import UNKNOWN, CustomerPoints
from services.points.domain.decide import decide
from services.points.domain.evolve import fold
from services.points.domain.program import Program, program_of
from shared.contracts.events import (
    Checkout,
    Data,
    Event,
    Item,
    OptOut,
    PointAdd,
    PointTake,
    Profile,
    Reason,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def day(n: int) -> datetime:
    """Noon, `n` days after the first of the tests."""
    return NOON + timedelta(days=n)


def account(status: str = "active", **document: Any) -> dict[str, Any]:
    """An account of a program, active unless said otherwise."""
    return {"status": status, "document": {"name": "Points", "currency_label": "pts"} | document}


def program(settings: dict[str, Any] | None = None, **accounts: dict[str, Any]) -> Program:
    """A program with these accounts; `main` is the default one, and earns 10 % if not given."""
    known = {"main": account(earn={"percent": 10}, init_on_opt_in=True)} | accounts
    document = {"default_account": "main"} | (settings or {})
    return program_of({"accounts": known, "settings": {"settings": {"document": document}}})


def event(action: str, data: Data, **stamps: Any) -> Event:
    """An event of customer `c-1`, recorded at noon of the first day."""
    at = stamps.pop("at", NOON)
    stamped: dict[str, Any] = {
        "id": "e-now",
        "tenant": "demo",
        "customer": "c-1",
        "account": "",
        "time": at,
        "recorded_at": at,
        "program": 1,
        "partition": 3,
        "seq": 100,
    }
    return Event(action=action, data=data, **(stamped | stamps))


def opt_in(**stamps: Any) -> Event:
    return event("opt_in", Profile(), **stamps)


def opt_out(*, banned: bool = False, **stamps: Any) -> Event:
    return event("opt_out", OptOut(banned=banned), **stamps)


def suspend(**stamps: Any) -> Event:
    return event("suspend", Reason(), **stamps)


def unsuspend(**stamps: Any) -> Event:
    return event("unsuspend", Reason(), **stamps)


def add(points: int, *, expires_at: datetime | None = None, **stamps: Any) -> Event:
    return event("point_add", PointAdd(points, expires_at), **stamps)


def subtract(points: int, **stamps: Any) -> Event:
    return event("point_sub", PointTake(points), **stamps)


def spend(points: int, **stamps: Any) -> Event:
    return event("point_spend", PointTake(points), **stamps)


def item(price: str | None = None, quantity: int = 1, **fields: Any) -> Item:
    money: dict[str, Any] = {name: Decimal(amount) for name, amount in fields.items()}
    return Item("p-1", quantity, price=None if price is None else Decimal(price), **money)


def checkout(
    total: str | None = None, *items: Item, transaction: str = "T-1", **fields: Any
) -> Event:
    stamps = {name: fields.pop(name) for name in ("id", "at", "time", "account") if name in fields}
    data = Checkout(
        transaction,
        None if total is None else Decimal(total),
        fields.pop("currency", "EUR"),
        list(items),
        **fields,
    )
    return event("checkout", data, digest=repr((data, stamps.get("account"))).encode(), **stamps)


def happened(events: Sequence[Event], rules: Program) -> CustomerPoints:
    """The state that these events lead an unknown customer to; none may be refused."""
    state = UNKNOWN
    for past in events:
        decision = decide(past, state, rules)
        assert decision.outcome != "refused", f"{past.action} was refused: {decision.code}"
        state = fold(state, decision, past)
    return state
