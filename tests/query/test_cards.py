"""Cards from facts: absolute balances, so that a repeat changes nothing."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from pymongo import MongoClient

from services.query.handler import Cards, CardsWork
from shared.runtime.mongo import MongoStore
from shared.runtime.ports import Document, Message, Store, Transaction
from shared.runtime.settings import Settings
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


class Shelf:
    """A store of cards, and how many messages were unreadable."""

    def __init__(self, store: Store, cards: Callable[[], list[Document]]) -> None:
        self._store = store
        self._cards = cards
        self.dead = 0

    def take(self, *batches: Sequence[Message]) -> dict[str, Document]:
        """Applies batches as the projector does; the cards after them."""
        for batch in batches:
            work = Cards().decide(batch, {})

            def body(transaction: Transaction, work: CardsWork = work) -> None:
                work.prepare(transaction)
                work.write(transaction)

            self._store.transact(body)
            self.dead += len(work.dead)
            assert list(work.outgoing()) == []
        return {card["_id"]: card for card in self._cards()}


@pytest.fixture(params=["in memory", "on mongod"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    if request.param == "in memory":
        database = FakeDatabase()
        yield Shelf(
            FakeStore(database), lambda: list(database.collections.get("cards", {}).values())
        )
        return
    mongo: MongoClient[Document] = request.getfixturevalue("mongo")
    stack: Settings = request.getfixturevalue("stack")
    cards = mongo[stack.database("query")].cards
    cards.delete_many({})
    store = MongoStore(mongo, stack, "query", ["points.facts", "customers.facts"])
    yield Shelf(store, lambda: list(cards.find()))
    store.close()


HISTORY = [
    status("active"),
    points({"main": BALANCE}),
    points({"extra": BALANCE | {"score": 12, "spendable": 6}}),
    points({"main": BALANCE | {"spent": 4, "spendable": 2}}),
    status("suspended"),
]


def test_a_card_sums_up_the_accounts_and_shows_the_latest_status(shelf: Shelf) -> None:
    card = shelf.take(HISTORY)["demo/c-1"]
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
def test_however_often_facts_come_the_card_is_the_same(
    shelf: Shelf, batches: list[list[Message]]
) -> None:
    once = Shelf(
        FakeStore(database := FakeDatabase()), lambda: [*database.collections["cards"].values()]
    )
    assert shelf.take(*batches) == once.take(HISTORY)


def test_whoever_opts_out_has_no_balances_any_more(shelf: Shelf) -> None:
    gone = [points({}, "standing_changed"), status("opted_out")]
    card = shelf.take(HISTORY, gone)["demo/c-1"]
    assert card["status"] == "opted_out"
    assert card["accounts"] == {}
    assert {name: card[name] for name in NOTHING} == NOTHING


def test_a_customer_of_whom_only_points_has_spoken_is_inactive(shelf: Shelf) -> None:
    assert shelf.take([points({"main": BALANCE})])["demo/c-1"]["status"] == "inactive"


def test_a_refusal_makes_no_card(shelf: Shelf) -> None:
    refusals = [points({}, outcome="refused"), status("active", outcome="refused")]
    assert shelf.take(refusals) == {}


def test_facts_that_do_not_decode_are_dead_and_do_not_stop_the_others(shelf: Shelf) -> None:
    broken = Message("points.facts", 0, 0, b"", b"{", {"tenant": "demo", "customer": "c-2"})
    nameless = Message("points.facts", 0, 0, b"", b"{}", {})
    cards = shelf.take([broken, nameless, *HISTORY])
    assert shelf.dead == 2
    assert list(cards) == ["demo/c-1"]


def test_a_batch_that_changes_nothing_writes_nothing(shelf: Shelf) -> None:
    shelf.take(HISTORY)
    again = Cards().decide(HISTORY[-1:], {})
    shelf._store.transact(again.prepare)
    assert again._changed == []
