"""Cards from facts: absolute balances, so that a repeat changes nothing."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from services.query.handler import Cards
from shared.runtime.ports import Document, Message
from tests.fakes.store import FakeDatabase, FakeStore

BALANCE = {"score": 10, "spent": 2, "pending": 0, "reserved": 1, "expired": 3, "spendable": 4}
NOTHING = dict.fromkeys(BALANCE, 0)


def facts(
    topic: str, value: dict[str, Any], *, customer: str = "c-1", outcome: str = "accepted"
) -> Message:
    headers = {"tenant": "demo", "customer": customer, "outcome": outcome}
    body = json.dumps({"facts": [], **value}).encode()
    return Message(topic, 0, 0, f"demo/{customer}".encode(), body, headers)


def points(balances: dict[str, dict[str, int]], *kinds: str, **more: Any) -> Message:
    listed: list[Document] = [{"type": kind, "forgotten": True} for kind in kinds]
    return facts("points.facts", {"facts": listed, "balances": balances}, **more)


def status(word: str, **more: Any) -> Message:
    return facts("customers.facts", {"status": word}, **more)


def cards_after(batches: Iterable[Sequence[Message]]) -> tuple[dict[str, Document], int]:
    """The cards, and how many messages were unreadable."""
    database, dead = FakeDatabase(), 0
    for batch in batches:
        work = Cards().decide(batch, {})
        FakeStore(database).transact(lambda transaction, work=work: write(work, transaction))  # type: ignore[misc]
        dead += len(work.dead)
        assert list(work.outgoing()) == []
    return database.collections.get("cards", {}), dead


def write(work: Any, transaction: Any) -> None:
    work.prepare(transaction)
    work.write(transaction)


HISTORY = [
    status("active"),
    points({"main": BALANCE}),
    points({"extra": BALANCE | {"score": 12, "spendable": 6}}),
    points({"main": BALANCE | {"spent": 4, "spendable": 2}}),
    status("suspended"),
]


def test_a_card_sums_up_the_accounts_and_shows_the_latest_status() -> None:
    cards, _ = cards_after([HISTORY])
    card = cards["demo/c-1"]
    assert (card["tenant"], card["id"], card["status"]) == ("demo", "c-1", "suspended")
    totals = [card[name] for name in ("score", "spent", "reserved", "expired", "spendable")]
    assert totals == [22, 6, 2, 6, 8]
    assert card["accounts"]["main"]["spent"] == 4


@pytest.mark.parametrize(
    "batches",
    [
        pytest.param([HISTORY, HISTORY], id="everything twice"),
        pytest.param([[message] for message in HISTORY], id="one by one"),
        pytest.param([HISTORY[:2], HISTORY[1:4], HISTORY[3:]], id="overlapping batches"),
    ],
)
def test_however_often_facts_come_the_card_is_the_same(batches: list[list[Message]]) -> None:
    assert cards_after(batches) == cards_after([HISTORY])


def test_whoever_opts_out_has_no_balances_any_more() -> None:
    gone = [points({}, "standing_changed"), status("opted_out")]
    cards, _ = cards_after([HISTORY, gone])
    card = cards["demo/c-1"]
    assert card["status"] == "opted_out"
    assert card["accounts"] == {}
    assert {name: card[name] for name in NOTHING} == NOTHING


def test_a_customer_of_whom_only_points_has_spoken_is_inactive() -> None:
    cards, _ = cards_after([[points({"main": BALANCE})]])
    assert cards["demo/c-1"]["status"] == "inactive"


def test_a_refusal_makes_no_card() -> None:
    cards, _ = cards_after([[points({}, outcome="refused"), status("active", outcome="refused")]])
    assert cards == {}


def test_facts_that_do_not_decode_are_dead_and_do_not_stop_the_others() -> None:
    broken = Message("points.facts", 0, 0, b"", b"{", {"tenant": "demo", "customer": "c-2"})
    nameless = Message("points.facts", 0, 0, b"", b"{}", {})
    cards, dead = cards_after([[broken, nameless, *HISTORY]])
    assert dead == 2
    assert list(cards) == ["demo/c-1"]


def test_a_batch_that_changes_nothing_writes_nothing() -> None:
    database = FakeDatabase()
    store = FakeStore(database)
    store.transact(lambda transaction: write(Cards().decide(HISTORY, {}), transaction))
    again = Cards().decide(HISTORY[-1:], {})
    store.transact(lambda transaction: write(again, transaction))
    assert again._changed == []
