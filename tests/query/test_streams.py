"""The event stream and the points history of a customer, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.query.given import START, Given, earned, expired, spent, subtracted

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DUE = NOW - timedelta(seconds=1)
TONIGHT = datetime(2026, 3, 11, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=30)


def rows(api: TestClient, path: str, **asked: Any) -> list[dict[str, Any]]:
    answer = api.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def walk(api: TestClient, path: str, **asked: Any) -> list[dict[str, Any]]:
    """All rows of a list, page by page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = api.get(path, params={**asked, **cursor})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            return found
        cursor = {"cursor": answer.json()["next_cursor"]}


@pytest.fixture
def history(given: Given) -> None:
    """Six events of both owners, and some that are no part of the stream."""
    given.joined("c-1")
    given.added("c-1", 100, id_="add", expires_at=LATER)
    given.lot("c-1", "add", 100, used=30, expires_at=LATER)
    given.happened(
        "c-1", "checkout", {"transaction_id": "T-1"}, [spent(30), earned(5)],
        id_="buy", transaction={"id": "T-1", "account": "main"},
    )  # fmt: skip
    given.happened("c-1", "point_spend", {"points": 999}, id_="no", outcome="refused", code="x")
    given.happened("c-1", "point_sub", {"points": 5}, [subtracted(5)], id_="sub")
    given.decided(given.submitted("c-1", "suspend", {"reason": "fraud"}, id_="suspend"))
    given.added("c-1", 7, id_="extra", account="extra")
    given.added("c-2", 1, id_="other")
    given.added("c-1", 1, id_="foreign", tenant="other")


@pytest.mark.usefixtures("history")
def test_the_stream_holds_what_the_owners_accepted_newest_first(api: TestClient) -> None:
    stream = rows(api, "/v1/customers/c-1/events")
    assert [(row["id"], row["action"], row["points"], row["account"]) for row in stream] == [
        ("extra", "point_add", 7, "extra"),
        ("suspend", "suspend", 0, None),
        ("sub", "point_sub", -5, "main"),
        ("buy", "checkout", -25, "main"),
        ("add", "point_add", 100, "main"),
        ("e-1", "opt_in", 0, None),
    ]
    assert stream[4] == {
        "id": "add", "action": "point_add", "points": 100, "account": "main",
        "time": "2026-03-01T09:00:02Z", "recorded_at": "2026-03-01T09:00:02Z", "source": None,
        "admin": None, "data": {"points": 100, "reason": "a gift"},
        "expires_at": "2026-04-09T12:00:00Z", "used_points": 30, "points_label": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"action": "point_add"}, "extra add"),
        ({"action": "point_add", "sort": "recorded_at"}, "add extra"),
        ({"transaction_id": "T-1"}, "buy"),
        ({"transaction_id": "T-2"}, ""),
        ({"sort": "points"}, "buy sub e-1 suspend extra add"),
        ({"sort": "-points"}, "add extra suspend e-1 sub buy"),
        ({"sort": "action"}, "buy e-1 add extra sub suspend"),
        ({"sort": "-action"}, "suspend sub extra add e-1 buy"),
        ({"sort": "time"}, "e-1 add buy sub suspend extra"),
        ({"sort": "-time"}, "extra suspend sub buy add e-1"),
    ],
)
@pytest.mark.usefixtures("history")
def test_the_stream_is_filtered_and_ordered_page_by_page(
    api: TestClient, asked: dict[str, str], expected: str
) -> None:
    for limit in (1, 4, 100):
        found = walk(api, "/v1/customers/c-1/events", **asked, limit=limit)
        assert [row["id"] for row in found] == expected.split()
    total = api.get("/v1/customers/c-1/events", params={**asked, "count": "exact"}).json()["total"]
    assert total == len(expected.split())


@pytest.mark.usefixtures("history")
def test_the_history_holds_permanent_changes_with_the_balance_after_each(api: TestClient) -> None:
    found = rows(api, "/v1/customers/c-1/points-history")
    assert [(row["event_id"], row["account"], row["points"], row["balance"]) for row in found] == [
        ("extra", "extra", 7, 7),
        ("sub", "main", -5, 70),
        ("buy", "main", -25, 75),
        ("add", "main", 100, 100),
    ]
    assert found[3] == {
        "event_id": "add", "action": "point_add", "account": "main", "points": 100, "balance": 100,
        "at": "2026-03-01T09:00:02Z", "reason": "a gift", "expires_at": "2026-04-09T12:00:00Z",
        "used_points": 30, "points_label": None,
    }  # fmt: skip


@pytest.mark.parametrize("sort", ["at", "-at"])
def test_a_page_of_the_history_may_end_between_two_accounts_of_one_event(
    api: TestClient, given: Given, sort: str
) -> None:
    given.joined("c-1")
    for n in range(3):
        given.happened(
            "c-1", "checkout", {}, [earned(1, "a"), earned(2, "b"), earned(3, "c")], id_=f"e{n}"
        )
    events = [0, 1, 2] if sort == "at" else [2, 1, 0]
    expected = [(f"e{n}", account) for n in events for account in "abc"]
    for limit in (1, 2, 3, 4, 100):
        found = walk(api, "/v1/customers/c-1/points-history", limit=limit, sort=sort)
        assert [(row["event_id"], row["account"]) for row in found] == expected


@pytest.mark.parametrize(
    ("asked", "expected", "total"),
    [
        ({}, 4, 4),
        ({"account": "main"}, 3, 3),
        ({"account": "extra"}, 1, 1),
        ({"account": "none"}, 0, 0),
        ({"action": "point_add"}, 2, 2),
        ({"action": "point_add", "account": "main"}, 1, 1),
    ],
)
@pytest.mark.usefixtures("history")
def test_the_history_is_filtered_and_counted(
    api: TestClient, asked: dict[str, str], expected: int, total: int
) -> None:
    answer = api.get("/v1/customers/c-1/points-history", params={**asked, "count": "exact"}).json()
    assert (len(answer["items"]), answer["total"]) == (expected, total)


@pytest.mark.parametrize(
    ("lot", "closed", "label", "used"),
    [
        pytest.param({}, None, None, 0, id="open, no date"),
        pytest.param({"used": 4}, None, None, 4, id="partly used"),
        pytest.param({"used": 4, "held": 6}, None, None, 4, id="held is not used"),
        pytest.param(None, {"used": 10}, "EXHAUSTED", 10, id="closed: all used"),
        pytest.param(None, {"used": 3, "expired": 7}, "EXPIRED", 3, id="closed: the rest lapsed"),
        pytest.param({"expires_at": TONIGHT}, None, "EXPIRING", 0, id="lapses tonight"),
        pytest.param({"expires_at": DUE}, None, "EXPIRING", 0, id="due, not yet lapsed"),
        pytest.param({"expires_at": LATER}, None, None, 0, id="lapses later"),
    ],
)
def test_rows_carry_the_label_of_what_they_earned(
    api: TestClient,
    given: Given,
    lot: dict[str, Any] | None,
    closed: dict[str, Any] | None,
    label: str | None,
    used: int,
) -> None:
    given.joined("c-1")
    given.added("c-1", 10, id_="add", expires_at=(lot or {}).get("expires_at"))
    if lot is not None:
        given.lot("c-1", "add", 10, page=3, **lot)
    if closed is not None:
        given.closed("c-1", "add", **closed)
    for path in ("events", "points-history"):
        row = rows(api, f"/v1/customers/c-1/{path}")[0]
        assert (row["points_label"], row["used_points"]) == (label, used), path


def test_an_opt_out_ends_what_is_shown_and_a_later_life_begins_anew(
    api: TestClient, given: Given
) -> None:
    given.joined("c-1")
    given.added("c-1", 10, id_="before")
    out = given.happened(
        "c-1", "opt_out", {}, [{"type": "customer_opted_out", "banned": False}], id_="out"
    )
    given.happened(
        "c-1", "opt_in", {}, [{"type": "customer_opted_in", "generation": 1}], id_="again"
    )
    given.profile("c-1", since=out["_id"] + 1, generation=1)
    given.added("c-1", 3, id_="after")
    assert [row["id"] for row in rows(api, "/v1/customers/c-1/events")] == ["after", "again"]
    history = rows(api, "/v1/customers/c-1/points-history")
    assert [row["event_id"] for row in history] == ["after"]


def test_a_sweep_is_in_the_history_but_is_no_event_of_the_customer(
    api: TestClient, given: Given
) -> None:
    given.joined("c-1")
    sweep = given.added("c-1", 10, id_="add")
    facts = [expired(10)]
    given.of("points", "decisions").insert_one(
        {**sweep, "_id": sweep["_id"] + 1, "event": "~tick:1:2026", "action": "expiration",
         "facts": facts, "result": {"balances": {"main": {"spendable": 0}}}}
    )  # fmt: skip
    assert [row["action"] for row in rows(api, "/v1/customers/c-1/events")] == [
        "point_add",
        "opt_in",
    ]
    first = rows(api, "/v1/customers/c-1/points-history")[0]
    assert (first["action"], first["event_id"], first["points"]) == (
        "expiration",
        "~tick:1:2026",
        -10,
    )


@pytest.mark.parametrize("sort", ["-recorded_at", "recorded_at", "-points", "action"])
def test_a_walk_visits_each_event_once_while_events_come_in(
    api: TestClient, given: Given, sort: str
) -> None:
    given.joined("c-1")
    before = {given.added("c-1", 10 + n % 2)["event"] for n in range(9)} | {"e-1"}
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while not before <= set(seen):
        answer = api.get("/v1/customers/c-1/events", params={"limit": 2, "sort": sort, **cursor})
        seen += [row["id"] for row in answer.json()["items"]]
        given.added("c-1", 10)
        cursor = {"cursor": answer.json()["next_cursor"]}
    assert len(seen) == len(set(seen))
    if sort == "-recorded_at":
        assert set(seen) == before


def test_two_owners_with_the_same_number_are_both_shown_across_pages(
    api: TestClient, given: Given
) -> None:
    made = given.joined("c-1")
    given.of("points", "decisions").insert_one(
        {**made, "event": "twin", "action": "point_add", "facts": [earned(1)],
         "result": {"balances": {"main": {"spendable": 1}}}}
    )  # fmt: skip
    for sort in ("recorded_at", "-recorded_at", "time", "-time"):
        found = walk(api, "/v1/customers/c-1/events", limit=1, sort=sort)
        assert sorted(row["id"] for row in found) == ["e-1", "twin"], sort


def test_backoffice_events_name_who_made_them(api: TestClient, given: Given) -> None:
    given.joined("c-1")
    event = given.submitted("c-1", "point_add", {}, source="Platform", admin="ann", account="main")
    given.decided(event, [earned(1)])
    row = rows(api, "/v1/customers/c-1/events")[0]
    assert (row["source"], row["admin"]) == ("Platform", "ann")


def test_time_is_when_it_happened_and_recorded_at_when_it_was_taken(
    api: TestClient, given: Given
) -> None:
    given.joined("c-1")
    earlier = START - timedelta(days=3, milliseconds=-5)
    given.decided(given.submitted("c-1", "point_add", {}, time=earlier), [earned(1)])
    row = rows(api, "/v1/customers/c-1/events")[0]
    assert (row["time"], row["recorded_at"]) == ("2026-02-26T09:00:00.005Z", "2026-03-01T09:00:02Z")
