"""One customer and the list of customers, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from shared.contracts.program import MODULES
from tests.query.given import Given, spent

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DUE = NOW - timedelta(seconds=1)
LATER = NOW + timedelta(days=30)


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["items"]]


def test_a_customer_shows_status_labels_and_accounts_in_order_of_id(
    api: TestClient, given: Given
) -> None:
    given.program("accounts", "main", {"name": "Old name", "type": "standard"})
    given.program("accounts", "main", {"name": "Main points", "type": "standard"})
    given.program("accounts", "extra", {"name": "Status", "type": "status_points"})
    given.joined("c-1", labels=["vip"])
    given.added("c-1", 100, account="main")
    given.added("c-1", 30, account="extra")
    given.happened("c-1", "point_spend", {"points": 20}, [spent(20)])
    answer = api.get("/v1/customers/c-1")
    assert answer.status_code == 200
    assert answer.json() == {
        "id": "c-1", "status": "active", "profile": {}, "tiers": [], "segments": [], "lists": [],
        "labels": ["vip"],
        "accounts": [
            {"id": "extra", "name": "Status", "type": "status_points", "score": 30, "spent": 0,
             "pending": 0, "reserved": 0, "expired": 0, "spendable": 30},
            {"id": "main", "name": "Main points", "type": "standard", "score": 100, "spent": 20,
             "pending": 0, "reserved": 0, "expired": 0, "spendable": 80},
        ],
        "coupons": {"claimed": 0, "unassigned": 0, "redeemed": 0, "expired": 0, "invalid": 0,
                    "transferred": 0},
    }  # fmt: skip


def test_an_account_that_was_only_opened_is_listed_with_zeros(
    api: TestClient, given: Given
) -> None:
    given.joined("c-1")
    empty = {
        "score": 0,
        "spent": 0,
        "pending": 0,
        "reserved": 0,
        "expired": 0,
        "made": 0,
        "due": None,
    }
    given.state("c-1", accounts={"main": empty})
    accounts = api.get("/v1/customers/c-1").json()["accounts"]
    assert [(account["id"], account["spendable"], account["name"]) for account in accounts] == [
        ("main", 0, None)
    ]


@pytest.mark.parametrize("id_", ["nobody", "c-1/", "x" * 129, "\x01"])
def test_a_customer_nobody_has_heard_of_is_unknown_on_every_path(api: TestClient, id_: str) -> None:
    for rest in ("", "/events", "/points-history", "/transactions"):
        answer = api.get(f"/v1/customers/{quote(id_, safe='')}{rest}")
        assert (answer.status_code, answer.json()["code"]) == (404, "customer_unknown")


@pytest.mark.parametrize("id_", ["a/b", "ü", "%", "%2F", "a b", "?&#", "é/..", "."])
def test_an_id_is_one_encoded_segment_on_every_path(
    api: TestClient, given: Given, id_: str
) -> None:
    given.joined(id_)
    event = given.added(id_, 5, id_=f"{id_}!")
    path = quote(id_, safe="").replace(".", "%2E")
    assert api.get(f"/v1/customers/{path}").json()["id"] == id_
    assert len(ids(api.get(f"/v1/customers/{path}/events"))) == 2
    history = api.get(f"/v1/customers/{path}/points-history").json()["items"]
    assert [row["event_id"] for row in history] == [event["event"]]
    outcome = api.get(f"/v1/events/{quote(event['event'], safe='')}").json()
    assert (outcome["id"], outcome["customer"]) == (f"{id_}!", id_)


def test_spendable_leaves_out_lots_that_are_due(api: TestClient, given: Given) -> None:
    given.joined("c-1")
    for event, points, lot in (
        ("old", 50, {"used": 10, "held": 5, "expires_at": DUE}),
        ("new", 30, {"expires_at": LATER}),
        ("for-ever", 20, {}),
    ):
        given.added("c-1", points, id_=event)
        given.lot("c-1", event, points, **lot)
    given.state("c-1", due={"main": DUE})
    given.card("c-1", spendable=100)
    [account] = api.get("/v1/customers/c-1").json()["accounts"]
    assert (account["score"], account["expired"], account["spendable"]) == (100, 0, 100 - 35)
    [row] = api.get("/v1/customers").json()["items"]
    assert row["spendable"] == 100 - 35


def test_without_the_module_nothing_is_due(api: TestClient, given: Given) -> None:
    modules = [name for name in MODULES if name != "expiring_points"]
    given.program("settings", "settings", {"modules": modules})
    given.added("c-1", 50, id_="old")
    given.lot("c-1", "old", 50, expires_at=DUE)
    given.state("c-1", due={"main": DUE})
    given.card("c-1", spendable=50)
    assert api.get("/v1/customers/c-1").json()["accounts"][0]["spendable"] == 50
    assert api.get("/v1/customers").json()["items"][0]["spendable"] == 50


def test_due_lots_of_a_customer_whose_id_begins_alike_are_not_counted(
    api: TestClient, given: Given
) -> None:
    for customer in ("a", "a/0/main"):
        given.added(customer, 10, id_=f"{customer}!")
        given.lot(customer, f"{customer}!", 10, expires_at=DUE)
        given.state(customer, due={"main": DUE})
    for customer in ("a", "a/0/main"):
        path = quote(customer, safe="")
        assert api.get(f"/v1/customers/{path}").json()["accounts"][0]["spendable"] == 0


def test_the_list_shows_totals_and_nothing_that_is_not_known(api: TestClient, given: Given) -> None:
    given.card("c-1", score=9, spent=2, expired=3, spendable=4)
    assert api.get("/v1/customers").json() == {
        "items": [
            {"id": "c-1", "name": None, "email": None, "status": "active", "score": 9, "spent": 2,
             "expired": 3, "spendable": 4, "last_login": None}
        ],
        "next_cursor": None,
    }  # fmt: skip


@pytest.fixture
def five(given: Given) -> None:
    for customer, score, status in (
        ("Anna", 3, "active"),
        ("bob", 1, "suspended"),
        ("carl.1", 3, "active"),
        ("dörte", 2, "inactive"),
        ("x%2", 3, "active"),
    ):
        given.card(customer, score=score, spent=-score, status=status)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("id", "Anna bob carl.1 dörte x%2"),
        ("-id", "x%2 dörte carl.1 bob Anna"),
        ("score", "bob dörte Anna carl.1 x%2"),
        ("-score", "x%2 carl.1 Anna dörte bob"),
        ("spent", "Anna carl.1 x%2 dörte bob"),
        ("status", "Anna carl.1 x%2 dörte bob"),
        ("-status", "bob dörte x%2 carl.1 Anna"),
    ],
)
@pytest.mark.usefixtures("five")
def test_every_order_can_be_walked_in_pages(api: TestClient, sort: str, expected: str) -> None:
    for limit in (1, 2, 5):
        assert walk(api, "/v1/customers", sort=sort, limit=limit) == expected.split()


def walk(api: TestClient, path: str, **asked: Any) -> list[str]:
    """All ids of a list, page by page."""
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get(path, params={**asked, **cursor})
        seen += ids(page)
        if page.json()["next_cursor"] is None:
            return seen
        assert len(page.json()["items"]) == asked["limit"]
        cursor = {"cursor": page.json()["next_cursor"]}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"q": "b"}, "bob"),
        ({"q": "B"}, "bob"),
        ({"q": "n"}, "Anna"),
        ({"q": "DÖR"}, "dörte"),
        ({"q": "."}, "carl.1"),
        ({"q": ".*"}, ""),
        ({"q": "%2"}, "x%2"),
        ({"q": "("}, ""),
        ({"q": "\\"}, ""),
        ({"status": "active"}, "Anna carl.1 x%2"),
        ({"status": "merged"}, ""),
        ({"status": "active", "q": "a"}, "Anna carl.1"),
    ],
)
@pytest.mark.usefixtures("five")
def test_filters_find_text_as_it_is_written(
    api: TestClient, asked: dict[str, str], expected: str
) -> None:
    answer = api.get("/v1/customers", params={**asked, "count": "exact"})
    assert ids(answer) == expected.split()
    assert answer.json()["total"] == len(expected.split())


def test_a_walk_visits_each_row_once_while_rows_come_in(api: TestClient, given: Given) -> None:
    for n in range(10):
        given.card(f"c-{n}", score=n % 3)
    for sort in ("id", "-id", "score", "-score"):
        seen: list[str] = []
        cursor: dict[str, str] = {}
        for page in range(100):
            answer = api.get("/v1/customers", params={"limit": 3, "sort": sort, **cursor})
            seen += ids(answer)
            given.card(f"b{sort}{page}", score=0)
            given.card(f"d{sort}{page}", score=2)
            if answer.json()["next_cursor"] is None or page == 50:
                break
            cursor = {"cursor": answer.json()["next_cursor"]}
            if {f"c-{n}" for n in range(10)} <= set(seen):
                break
        assert len(seen) == len(set(seen)), sort
        assert {f"c-{n}" for n in range(10)} <= set(seen), sort
