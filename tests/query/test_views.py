"""Rows from documents, as tables."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.query.lots import Lot, LotId
from services.query.streams import Stored, changes, event_row, history_rows, stored
from services.query.views import customer, event_answer, items
from shared.runtime.ports import Document
from tests.query.given import earned, expired, spent, subtracted

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def decision(*facts: Document, **more: Any) -> Document:
    balances = {"main": {"spendable": 7}, "extra": {"spendable": 8}}
    return {
        "_id": 1, "event": "e-1", "tenant": "demo", "customer": "c-1", "action": "point_add",
        "at": AT, "time": AT, "outcome": "accepted", "facts": list(facts),
        "result": {"balances": balances}, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param([earned(10)], {"main": 10}, id="earned: up"),
        pytest.param([spent(10)], {"main": -10}, id="spent: down"),
        pytest.param([subtracted(3)], {"main": -3}, id="taken back: down"),
        pytest.param([expired(3)], {"main": -3}, id="lapsed: down"),
        pytest.param([expired(4), earned(10)], {"main": 6}, id="the sum"),
        pytest.param([spent(4), earned(4)], {"main": 0}, id="nothing in all, but a change"),
        pytest.param([earned(1), earned(2, "extra")], {"extra": 2, "main": 1}, id="by account"),
        pytest.param([{"type": "account_opened", "account": "main"}], {}, id="opened"),
        pytest.param([{"type": "standing_changed", "standing": "active"}], {}, id="standing"),
        pytest.param([{"type": "points_reserved", "account": "main", "points": 5}], {}, id="held"),
    ],
)  # fmt: skip
def test_changes(facts: list[Document], expected: dict[str, int]) -> None:
    assert list(changes(decision(*facts)).items()) == list(expected.items())


def test_an_event_row_shows_what_was_sent_and_what_became_of_its_lot() -> None:
    made = decision(earned(10, expires_at=AT))
    sent = Stored({"points": 10, "shop": {"id": 7}}, source="Platform", admin="ann")
    lots = {LotId("e-1", 0, "main"): Lot(10, 4, 3, 0, AT)}
    row = event_row(made, sent, lots, None)
    assert row.model_dump(mode="json") == {
        "id": "e-1", "action": "point_add", "points": 10, "account": "main",
        "time": "2026-03-01T09:30:00Z", "recorded_at": "2026-03-01T09:30:00Z",
        "source": "Platform", "admin": "ann", "data": {"points": 10, "shop": {"id": 7}},
        "expires_at": "2026-03-01T09:30:00Z", "used_points": 4, "points_label": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("made", "named", "expected"),
    [
        pytest.param(decision(earned(1, "extra")), "", "extra", id="the one that was changed"),
        pytest.param(decision(transaction={"account": "main"}), "", "main", id="the transaction's"),
        pytest.param(decision(), "main", "main", id="nothing changed: the one that was named"),
        pytest.param(decision(), "", None, id="nothing changed, none named: none"),
    ],
)
def test_account_of_an_event_row(made: Document, named: str, expected: str | None) -> None:
    assert event_row(made, Stored({}, account=named), {}, None).account == expected


def test_an_event_that_earned_nothing_has_no_lot_members() -> None:
    row = event_row(decision(spent(5)), Stored({}), {}, None)
    assert (row.points, row.expires_at, row.used_points, row.points_label) == (-5, None, None, None)


def test_a_decision_has_a_history_row_for_each_account_that_it_changed() -> None:
    made = decision(earned(5), spent(2, "extra"))
    lots = {LotId("e-1", 0, "main"): Lot(5, 5, 0, 0, None)}
    rows = history_rows(made, Stored({"reason": "sorry"}), lots, AT)
    assert [
        (row.account, row.points, row.balance, row.reason, row.used_points, row.points_label)
        for row in rows
    ] == [("extra", -2, 8, "sorry", None, None), ("main", 5, 7, "sorry", 5, "EXHAUSTED")]


def test_a_reason_that_is_no_text_is_not_shown() -> None:
    assert history_rows(decision(earned(1)), Stored({"reason": 5}), {}, None)[0].reason is None


def test_stored_reads_the_body_of_the_journal() -> None:
    event = {"body": '{"id":"e","customer":"c","action":"a","data":{"x":[1,"2"]},"account":"main"}'}
    assert stored(event) == Stored({"x": [1, "2"]}, account="main")


@pytest.mark.parametrize(
    ("line", "subtotal"),
    [
        pytest.param({"price": "2.50", "quantity": 3}, "7.50", id="price x quantity"),
        pytest.param(
            {"price": "2.50", "quantity": 3, "discount": "1.00"}, "6.50", id="less discount"
        ),
        pytest.param({"price": "2.50", "subtotal": "9.99"}, "9.99", id="as sent"),
        pytest.param({"price": "1.00", "discount": "2.00"}, "0.00", id="never below nothing"),
        pytest.param({"quantity": 3}, None, id="no price: not known"),
    ],
)
def test_subtotal_of_an_item(line: dict[str, Any], subtotal: str | None) -> None:
    assert items([{"product_id": "p", **line}], "EUR")[0].subtotal == subtotal


@pytest.mark.parametrize(
    ("standing", "word"),
    [("active", "active"), ("banned", "opted_out"), ("opted_out", "opted_out")],
)
def test_a_ban_is_shown_as_opted_out(standing: str, word: str) -> None:
    assert customer("c", {"standing": standing}, None, {}, {}).status == word


def test_a_customer_whom_only_points_knows_is_shown_with_the_standing_that_points_follows() -> None:
    assert (
        customer("c", None, {"standing": "inactive", "accounts": {}}, {}, {}).status == "inactive"
    )


def test_an_undecided_event_is_queued() -> None:
    assert event_answer("e-1", None) == {"id": "e-1", "status": "queued"}
