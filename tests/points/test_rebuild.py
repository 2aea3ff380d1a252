"""The rebuild on a real mongod: the same bytes from the archive, what differs, what is switched."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import pytest

from services.points import handler as points_handler
from services.points.domain.customers import CustomerPoints
from services.points.domain.decide import decide
from services.points.domain.program import Program
from services.points.rebuilding import rebuild as rebuilding
from services.points.rebuilding.building import RebuildError
from services.points.rebuilding.rebuild import Rebuilt, Told, Wanted, rebuild
from services.points.rebuilding.second import SUFFIX
from services.points.rebuilding.sets import RAW
from shared.contracts.decisions import Decision
from shared.contracts.events import Event, PointAdd
from shared.runtime.ports import Document
from tests.points.archived import archived
from tests.points.desk import Desk, Submitted

SILENT = Told(lambda _name, _total: None, lambda _more: None)
SWITCHED = Wanted()
ONLY_COMPARED = Wanted(switches=False)
COLLECTIONS = ("decisions", "states", "lots", "closed", "parked")


def opt_in(customer: str = "anna") -> Submitted:
    return Submitted(customer, "opt_in")


def add(points: int, customer: str = "anna", expires_at: str = "", id_: str = "") -> Submitted:
    data: dict[str, object] = {"points": points}
    if expires_at:
        data["expires_at"] = expires_at
    return Submitted(customer, "point_add", data, id=id_)


def spend(points: int, customer: str = "anna", id_: str = "") -> Submitted:
    return Submitted(customer, "point_spend", {"points": points}, id=id_)


def checkout(total: str, transaction: str, customer: str = "anna") -> Submitted:
    data = {"transaction_id": transaction, "total": total, "currency": "EUR"}
    return Submitted(customer, "checkout", data)


def unpark(customer: str = "anna", at: int = 0) -> Submitted:
    return Submitted(customer, "unpark", {"service": "points"}, id=f"~unpark:{customer}:{at}")


def history() -> list[Submitted]:
    """Three customers through everything: lots of several pages, one that is due, a debt, repeated
    checkouts, refusals, somebody who leaves and comes back."""
    return [
        opt_in(),
        opt_in("bela"),
        add(10, expires_at="2026-03-01T09:00:07Z"),
        add(25),
        Submitted("bela", "point_spend", {"points": 5}, account="credit"),
        checkout("100.00", "T-1"),
        Submitted("bela", "point_add", {"points": 3}, account="credit"),
        add(7),
        checkout("100.00", "T-1"),
        checkout("100.01", "T-1"),
        spend(40),
        Submitted("bela", "suspend"),
        spend(1, "bela"),
        Submitted("bela", "opt_out"),
        add(1, "bela"),
        opt_in("bela"),
        checkout("7.00", "T-1", "bela"),
        *(add(1) for _ in range(70)),
        spend(66),
        *(add(1) for _ in range(40)),
        spend(3),
        Submitted("a/b", "opt_in"),
        add(2, "a/b"),
        Submitted("a", "opt_in"),
        add(3_000_000_000, "a"),
        spend(2_999_999_999, "a"),
    ]


class Rule:
    """The rule of `point_add` raises where 13 points are added, and that of `suspend`."""

    def __init__(self) -> None:
        self.raises = True

    def decide(self, event: Event, state: CustomerPoints, program: Program) -> Decision:
        bad = isinstance(event.data, PointAdd) and event.data.points == 13
        if self.raises and (bad or event.id.startswith("bad")):
            raise ZeroDivisionError("thirteen")
        return decide(event, state, program)


@pytest.fixture
def rule(monkeypatch: pytest.MonkeyPatch) -> Rule:
    made = Rule()
    monkeypatch.setattr(points_handler, "decide", made.decide)
    return made


def live(desk: Desk, *events: Submitted) -> None:
    """What live traffic takes in, in one batch."""
    desk.batch(archived(desk, desk.logged(*events)))


def settle(desk: Desk) -> None:
    """Whoever is being unparked."""
    while desk.handler.due(desk.cursors):
        desk.batch([])


def rebuilt(desk: Desk, wanted: Wanted = SWITCHED, told: Told = SILENT) -> Rebuilt:
    return rebuild(desk.settings, desk.client, told, wanted)


def raw(desk: Desk, collection: str) -> bytes:
    database = desk.client[desk.settings.database("points")]
    found: Any = database.get_collection(collection, codec_options=RAW).find().sort("_id", 1)
    return b"".join(document.raw for document in found)


def stored(desk: Desk) -> dict[str, bytes]:
    return {name: raw(desk, name) for name in COLLECTIONS}


def assert_identical(result: Rebuilt) -> None:
    assert [str(each) for each in result.differences] == []
    assert result.raised == []
    assert result.refused == ""


def leftovers(desk: Desk) -> list[str]:
    database = desk.client[desk.settings.database("points")]
    return [name for name in database.list_collection_names() if name.endswith(SUFFIX)]


def cut(desk: Desk, events: Sequence[Submitted], size: int) -> None:
    for start in range(0, len(events), size):
        live(desk, *events[start : start + size])


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_the_archive_makes_the_same_bytes_again(desk: Desk, size: int) -> None:
    cut(desk, history(), size)
    before = stored(desk)
    result = rebuilt(desk)
    assert_identical(result)
    assert result.switched
    assert result.events == len(history())
    assert stored(desk) == before
    assert leftovers(desk) == []


def test_what_is_switched_to_has_its_indexes_and_live_traffic_goes_on_with_it(desk: Desk) -> None:
    cut(desk, history(), 10)
    rebuilt(desk)
    database = desk.client[desk.settings.database("points")]
    assert "transaction.id_1_customer_1" in database.decisions.index_information()
    desk.start()
    live(desk, add(5), spend(3), checkout("100.00", "T-1"), checkout("9.00", "T-2"))
    result = rebuilt(desk)
    assert_identical(result)
    assert desk.documents("states")["demo/anna"]["accounts"]["main"]["score"] > 100


def test_before_anything_was_decided_there_is_nothing_to_rebuild(desk: Desk) -> None:
    assert rebuilt(desk).documents == {}
    assert leftovers(desk) == []


def test_only_compared_nothing_is_touched(desk: Desk) -> None:
    cut(desk, history(), 10)
    before, epochs = (
        stored(desk),
        {p: each["epoch"] for p, each in desk.documents("cursors").items()},
    )
    result = rebuilt(desk, ONLY_COMPARED)
    assert_identical(result)
    assert (result.switched, result.paused_seconds) == (False, 0.0)
    assert stored(desk) == before
    assert {p: each["epoch"] for p, each in desk.documents("cursors").items()} == epochs
    assert leftovers(desk) == []


def test_what_comes_while_it_builds_and_compares_is_in_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "NEAR_EVENTS", 3)
    cut(desk, history(), 10)
    more = iter([add(1), spend(1), opt_in("new"), add(1), add(2, "bela"), spend(3, "a")] * 4)

    def stage(name: str, _total: int) -> None:
        if name in ("comparing", "deciding again", "catching up"):
            live(desk, *islice(more, 6))

    result = rebuilt(desk, told=Told(stage, lambda _: None))
    assert_identical(result)
    assert result.events == len(history()) + 24
    assert "demo/new" in desk.documents("states")


def test_one_that_was_interrupted_is_gone_on_with(desk: Desk) -> None:
    cut(desk, history(), 10)

    def interrupt(_more: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuilt(desk, told=Told(lambda _name, _total: None, interrupt))
    result = rebuilt(desk)
    assert_identical(result)
    assert result.went_on
    assert 0 < result.events < len(history())
    assert not rebuilt(desk, Wanted(anew=True)).went_on


def test_interrupted_in_the_pause_what_was_borrowed_is_given_back(desk: Desk) -> None:
    cut(desk, history(), 10)

    def stage(name: str, _total: int) -> None:
        if name == "the last events":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuilt(desk, told=Told(stage, lambda _: None))
    assert all(each["session"] is None for each in desk.documents("cursors").values())
    desk.start()
    live(desk, add(5))
    assert_identical(rebuilt(desk))


def damaged(desk: Desk, collection: str) -> Any:
    return desk.client[desk.settings.database("points")][collection]


def a_wrong_balance(desk: Desk) -> None:
    damaged(desk, "states").update_one({"_id": "demo/anna"}, {"$set": {"accounts.main.score": 999}})


def a_missing_state(desk: Desk) -> None:
    damaged(desk, "states").delete_one({"_id": "demo/bela"})


def a_changed_lot(desk: Desk) -> None:
    page = damaged(desk, "lots").find_one({"customer": "demo/anna"})
    damaged(desk, "lots").update_one({"_id": page["_id"]}, {"$set": {"lots.0.points": 99}})


def a_changed_last_page(desk: Desk) -> None:
    damaged(desk, "states").update_one({"_id": "demo/a/b"}, {"$set": {"accounts.main.last": "[]"}})


def an_orphaned_page(desk: Desk) -> None:
    page = {"_id": "demo/anna/1/main/99", "customer": "demo/anna", "account": "main", "lots": []}
    damaged(desk, "lots").insert_one(page)


def a_missing_decision(desk: Desk) -> None:
    first = damaged(desk, "decisions").find_one({"event": "e-4"})
    damaged(desk, "decisions").delete_one({"_id": first["_id"]})


def a_doubled_decision(desk: Desk) -> None:
    first = damaged(desk, "decisions").find_one({"event": "e-4"})
    damaged(desk, "decisions").insert_one({**first, "_id": first["_id"] + 1})


def a_wider_number(desk: Desk) -> None:
    damaged(desk, "states").update_one(
        {"_id": "demo/anna"}, [{"$set": {"generation": {"$toLong": "$generation"}}}]
    )


def a_closed_lot_that_is_gone(desk: Desk) -> None:
    damaged(desk, "closed").delete_one({"_id": {"$regex": "^demo/anna"}})


DAMAGES = [
    pytest.param(a_wrong_balance, "states", "demo/anna", "accounts.main.score is 999", id="score"),
    pytest.param(a_missing_state, "states", "demo/bela", "is missing", id="a missing state"),
    pytest.param(a_changed_lot, "lots", "demo/anna", "lots.0.points is 99, decided", id="lot"),
    pytest.param(
        a_changed_last_page, "states", "demo/a/b", "accounts.main.last is", id="last page"
    ),
    pytest.param(an_orphaned_page, "lots", "demo/anna", "is not made again", id="orphaned page"),
    pytest.param(a_missing_decision, "decisions", "demo/anna", "is missing", id="no decision"),
    pytest.param(a_doubled_decision, "decisions", "demo/anna", "is not made again", id="doubled"),
    pytest.param(
        a_wider_number, "states", "demo/anna", "generation is 1, decided again 1", id="width"
    ),
    pytest.param(a_closed_lot_that_is_gone, "closed", "demo/anna", "is missing", id="closed"),
]


@pytest.mark.parametrize(("damage", "collection", "customer", "what"), DAMAGES)
def test_damage_is_named_refused_and_mended_where_that_is_accepted(
    desk: Desk, damage: Callable[[Desk], None], collection: str, customer: str, what: str
) -> None:
    cut(desk, history(), 10)
    before = stored(desk)
    damage(desk)
    broken = stored(desk)
    assert broken != before
    result = rebuilt(desk)
    (found,) = result.differences
    assert (found.collection, found.customer) == (collection, customer)
    assert what in found.what
    assert (result.switched, result.refused) == (False, "there are differences")
    assert stored(desk) == broken
    accepted = rebuilt(desk, Wanted(accepts=True))
    assert (accepted.went_on, accepted.events, accepted.switched) == (True, 0, True)
    assert stored(desk) == before
    desk.start()
    live(desk, add(5), spend(1, "bela"))
    assert_identical(rebuilt(desk))


def test_a_position_that_names_a_wrong_last_decision_is_mended(desk: Desk) -> None:
    cut(desk, history(), 10)
    cursor = next(each for each in desk.documents("cursors").values() if each.get("last"))
    damaged(desk, "cursors").update_one({"_id": cursor["_id"]}, {"$inc": {"last": -1}})
    (found,) = rebuilt(desk).differences
    assert (found.collection, found.id) == ("cursors", str(cursor["_id"]))
    assert rebuilt(desk, Wanted(accepts=True)).switched
    assert desk.documents("cursors")[cursor["_id"]]["last"] == cursor["last"]


def test_decisions_that_do_not_end_where_the_announced_ones_did_are_never_switched_to(
    desk: Desk,
) -> None:
    cut(desk, history(), 10)
    at = desk.documents("cursors")
    last = max(each.get("last", 0) for each in at.values())
    decisions = damaged(desk, "decisions")
    document: Document = decisions.find_one({"_id": last})
    decisions.insert_one({**document, "_id": last + 1})
    damaged(desk, "cursors").update_one({"last": last}, {"$inc": {"last": 1}})
    result = rebuilt(desk, Wanted(accepts=True))
    assert not result.switched
    assert f"the last one announced was {last + 1}" in result.refused


def test_a_customer_who_was_parked_and_unparked_ends_with_the_same_bytes(
    desk: Desk, rule: Rule
) -> None:
    live(desk, opt_in(), opt_in("bert"), add(20), add(13, id_="b"), spend(30), add(1, "bert"))
    live(desk, add(2), add(13, "bert"), spend(1, "bert"))
    rule.raises = False
    live(desk, unpark(), add(3), add(9, "bert"))
    settle(desk)
    live(desk, unpark("bert"))
    live(desk, add(4), add(5, "bert"))
    settle(desk)
    live(desk, add(6), add(7, "bert"))
    assert desk.documents("parked_customers") == {}
    before = stored(desk)
    assert_identical(rebuilt(desk))
    assert stored(desk) == before


def test_who_still_waits_waits_on(desk: Desk, rule: Rule) -> None:
    live(desk, opt_in(), opt_in("bert"), add(13), spend(1), add(1, "bert"))
    live(desk, add(13, "bert"), add(2))
    rule.raises = False
    before = stored(desk)
    assert_identical(rebuilt(desk))
    assert stored(desk) == before
    desk.start()
    live(desk, unpark())
    settle(desk)
    assert desk.documents("states")["demo/anna"]["accounts"]["main"]["score"] == 15
    assert list(desk.documents("parked_customers")) == ["demo/bert"]
    assert_identical(rebuilt(desk))


def test_an_unpark_while_it_is_rebuilt_is_followed(desk: Desk, rule: Rule) -> None:
    live(desk, opt_in(), add(13), *(add(1) for _ in range(4)))
    rule.raises = False

    def stage(name: str, _total: int) -> None:
        if name == "comparing" and not any(told):
            told.append(True)
            live(desk, unpark())
            settle(desk)

    told: list[bool] = []
    assert_identical(rebuilt(desk, told=Told(stage, lambda _: None)))
    assert desk.documents("states")["demo/anna"]["accounts"]["main"]["score"] == 17


def test_many_are_unparked_batch_by_batch_at_one_place(
    desk: Desk, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.owner.UNPARKED_EVENTS_MAX", 2)
    live(desk, opt_in(), opt_in("bert"), add(13, "bert"), add(13), *(add(1) for _ in range(5)))
    live(desk, *(add(1, "bert") for _ in range(4)))
    rule.raises = False
    live(desk, unpark(), unpark("bert"))
    desk.batch([])
    live(desk, add(2), add(2, "bert"))
    settle(desk)
    assert desk.documents("parked_customers") == {}
    assert_identical(rebuilt(desk))


def test_an_event_that_changed_nothing_when_it_was_unparked_is_decided_there_again(
    desk: Desk, rule: Rule
) -> None:
    live(desk, opt_in(), Submitted("anna", "suspend", id="bad-1"))
    live(desk, Submitted("anna", "suspend", id="again"), add(5))
    rule.raises = False
    live(desk, unpark())
    settle(desk)
    events = [each["event"] for each in desk.documents("parked").values()]
    assert "again" not in events
    assert_identical(rebuilt(desk))


def test_a_rule_that_raises_now_is_told_and_nothing_is_switched(desk: Desk, rule: Rule) -> None:
    rule.raises = False
    live(desk, opt_in(), opt_in("bert"), add(20), add(13, id_="e-13"), spend(5), add(7, "bert"))
    before = stored(desk)
    rule.raises = True
    result = rebuilt(desk, Wanted(accepts=True))
    (customer,) = result.raised
    assert (customer["_id"], customer["event"]) == ("demo/anna", "e-13")
    assert customer["reason"] == "ZeroDivisionError: thirteen"
    assert {each.customer for each in result.differences} == {"demo/anna", "nobody"}
    assert not result.switched
    assert "a rule raises" in result.refused
    assert stored(desk) == before
    assert leftovers(desk) == []


def test_a_rule_that_raises_again_on_what_was_unparked_is_told(desk: Desk, rule: Rule) -> None:
    live(desk, opt_in(), add(13, id_="b"), add(1))
    rule.raises = False
    live(desk, unpark(), opt_in("bert"))
    settle(desk)
    live(desk, add(1), add(1, "bert"))
    rule.raises = True
    (customer,) = rebuilt(desk).raised
    assert (customer["event"], customer["waiting"]) == ("b", 3)


def test_an_archive_that_does_not_reach_back_is_refused(desk: Desk) -> None:
    live(desk, opt_in(), add(5))
    live(desk, add(6))
    journal = desk.client[desk.settings.database("journal")]
    first = journal.batches.find_one(sort=[("_id", 1)]) or {}
    journal.batches.delete_one({"_id": first["_id"]})
    with pytest.raises(RebuildError, match="begins at 3, not at 1"):
        rebuilt(desk)
    journal.batches.delete_many({})
    with pytest.raises(RebuildError, match="is empty, not at 1"):
        rebuilt(desk)


def test_an_archive_with_a_hole_is_refused(desk: Desk) -> None:
    for points in (1, 2, 3):
        live(desk, add(points))
    journal = desk.client[desk.settings.database("journal")]
    second = list(journal.batches.find().sort("_id", 1))[1]
    journal.batches.delete_one({"_id": second["_id"]})
    with pytest.raises(RebuildError, match="messages are missing"):
        rebuilt(desk)


def test_an_archive_that_ends_early_is_refused(desk: Desk) -> None:
    live(desk, opt_in(), add(5))
    desk.batch(desk.logged(add(6)))
    with pytest.raises(RebuildError, match="ends at 2, but points has decided up to 3"):
        rebuilt(desk)


def test_a_set_that_is_ahead_of_a_restored_database_is_not_gone_on_with(desk: Desk) -> None:
    cut(desk, history(), 10)
    a_wrong_balance(desk)
    rebuilt(desk)
    damaged(desk, "cursors").update_many(
        {"seen.events_log": {"$gt": 3}}, {"$set": {"seen.events_log": 3}}
    )
    with pytest.raises(RebuildError, match="--restart"):
        rebuilt(desk)


def test_while_another_one_switches_none_begins(desk: Desk) -> None:
    cut(desk, history(), 10)
    refused: list[str] = []

    def stage(name: str, _total: int) -> None:
        if name == "switching":
            with pytest.raises(RebuildError, match="another rebuild is switching") as error:
                rebuilt(desk)
            refused.append(str(error.value))

    assert_identical(rebuilt(desk, told=Told(stage, lambda _: None)))
    assert len(refused) == 1
