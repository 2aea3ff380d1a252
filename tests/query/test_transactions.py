"""Transactions of a customer and of a whole tenant, over HTTP."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.query.given import Given

ALL = "/v1/transactions"
MINE = "/v1/customers/c-1/transactions"


def walk(api: TestClient, path: str, **asked: Any) -> list[str]:
    """Transaction ids of a list, page by page."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = api.get(path, params={**asked, **cursor})
        assert answer.status_code == 200, answer.text
        found += [row["transaction_id"] for row in answer.json()["items"]]
        if answer.json()["next_cursor"] is None:
            return found
        assert len(answer.json()["items"]) == asked["limit"]
        cursor = {"cursor": answer.json()["next_cursor"]}


def test_a_transaction_shows_its_amounts_and_its_items(api: TestClient, given: Given) -> None:
    given.joined("c-1")
    given.checked_out(
        "c-1", "T-1", total=12000, rewarded=12,
        data={"total": "120.00", "currency": "EUR", "items": [
            {"product_id": "p1", "product_name": "Tea", "quantity": 2, "price": "60.00"},
        ]},
    )  # fmt: skip
    row = {
        "transaction_id": "T-1", "account": "main", "customer": "c-1",
        "checkout_at": "2026-03-01T09:00:02Z", "recorded_at": "2026-03-01T09:00:02Z",
        "points_rewarded": 12, "points_burned": 0, "status": "accepted", "total": "120.00",
        "refunded": "0.00", "currency": "EUR",
        "items": [{"product_id": "p1", "product_name": "Tea", "category": None, "quantity": 2,
                   "price": "60.00", "discount": None, "subtotal": "120.00"}],
    }  # fmt: skip
    assert api.get(MINE).json() == {"items": [row], "next_cursor": None}
    assert api.get(ALL).json() == {"items": [row], "next_cursor": None}


def test_amounts_have_the_digits_of_their_currency(api: TestClient, given: Given) -> None:
    given.joined("c-1")
    for currency in ("JPY", "KWD"):
        given.checked_out("c-1", currency, total=1234, currency=currency)
    rows = api.get(ALL, params={"sort": "recorded_at"}).json()["items"]
    assert [(row["total"], row["refunded"]) for row in rows] == [("1234", "0"), ("1.234", "0.000")]


@pytest.fixture
def twelve(given: Given) -> None:
    """T-0 to T-11 of five customers in as many partitions as it happens, and a foreign one."""
    for customer in ("c-1", "c-2", "c-3", "c-4", "c-5"):
        given.joined(customer)
    for n in range(12):
        account = "extra" if n % 4 == 0 else "main"
        given.checked_out(f"c-{n % 5 + 1}", f"T-{n}", account=account)
    given.added("c-1", 5)
    given.checked_out("c-1", "foreign", tenant="other")


@pytest.mark.parametrize(
    ("path", "asked", "expected"),
    [
        (ALL, {}, "11 10 9 8 7 6 5 4 3 2 1 0"),
        (ALL, {"sort": "recorded_at"}, "0 1 2 3 4 5 6 7 8 9 10 11"),
        (ALL, {"account": "extra"}, "8 4 0"),
        (ALL, {"customer": "c-2"}, "11 6 1"),
        (ALL, {"customer": "c-2", "sort": "recorded_at"}, "1 6 11"),
        (ALL, {"customer": "nobody"}, ""),
        (ALL, {"transaction_id": "T-7"}, "7"),
        (ALL, {"transaction_id": "T-7", "customer": "c-1"}, ""),
        (ALL, {"transaction_id": "none"}, ""),
        (ALL, {"status": "accepted", "account": "extra"}, "8 4 0"),
        (ALL, {"status": "refunded"}, ""),
        (MINE, {}, "10 5 0"),
        (MINE, {"sort": "recorded_at"}, "0 5 10"),
        (MINE, {"sort": "checkout_at"}, "0 5 10"),
        (MINE, {"sort": "-checkout_at"}, "10 5 0"),
        (MINE, {"account": "main"}, "10 5"),
        (MINE, {"transaction_id": "T-5"}, "5"),
        (MINE, {"customer": "c-1"}, "10 5 0"),
        (MINE, {"customer": "c-2"}, ""),
        (MINE, {"status": "draft"}, ""),
    ],
)
@pytest.mark.usefixtures("twelve")
def test_transactions_are_filtered_and_ordered_page_by_page(
    api: TestClient, path: str, asked: dict[str, str], expected: str
) -> None:
    for limit in (1, 5, 12):
        assert walk(api, path, **asked, limit=limit) == [f"T-{n}" for n in expected.split()]
    assert api.get(path, params={**asked, "count": "exact"}).json()["total"] == len(
        expected.split()
    )


@pytest.mark.usefixtures("twelve")
def test_a_walk_over_all_customers_visits_each_row_once_while_checkouts_come_in(
    api: TestClient, given: Given
) -> None:
    before = [f"T-{n}" for n in range(12)]
    for sort, expected in (("-recorded_at", before[::-1]), ("recorded_at", before)):
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while len(seen) < len(expected):
            answer = api.get(ALL, params={"limit": 2, "sort": sort, **cursor})
            seen += [row["transaction_id"] for row in answer.json()["items"]]
            for customer in range(7):  # also in partitions that had none
                given.checked_out(f"new{sort}-{customer}", f"N{sort}-{len(seen)}-{customer}")
            cursor = {"cursor": answer.json()["next_cursor"]}
        assert seen == expected, sort
        given.of("points", "decisions").delete_many({"customer": {"$regex": "^new"}})


def test_a_repeated_checkout_is_no_second_transaction(api: TestClient, given: Given) -> None:
    given.joined("c-1")
    given.checked_out("c-1", "T-1")
    given.happened("c-1", "checkout", {"transaction_id": "T-1"}, answer={"duplicate": True})
    assert walk(api, MINE, limit=20) == walk(api, ALL, limit=20) == ["T-1"]


def test_whoever_has_opted_out_is_not_named_by_an_old_transaction(
    api: TestClient, given: Given
) -> None:
    given.joined("c-1")
    given.checked_out("c-1", "before")
    out = given.happened("c-1", "opt_out", {}, [{"type": "customer_opted_out", "banned": False}])
    given.state("c-1", since=out["_id"], generation=1)
    given.checked_out("c-1", "after")
    given.state("c-1", since=out["_id"], generation=1)
    rows = api.get(ALL).json()["items"]
    assert [(row["transaction_id"], row["customer"]) for row in rows] == [
        ("after", "c-1"),
        ("before", None),
    ]
    assert walk(api, ALL, customer="c-1", limit=20) == ["after"]
    assert walk(api, MINE, limit=20) == ["after"]
