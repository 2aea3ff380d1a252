"""An owner's batches on a real mongod: who is parked, what waits, what an unpark decides."""

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from services.points import handler as points_handler
from services.points.app import build
from services.points.domain.customers import CustomerPoints
from services.points.domain.decide import decide
from services.points.domain.program import Program
from shared.contracts.decisions import Decision, number
from shared.contracts.events import Event, PointAdd
from shared.contracts.outcomes import instant
from shared.runtime import parking
from shared.runtime.ports import Document, Message
from shared.runtime.settings import Settings
from tests.points.desk import Desk, Submitted

NAMED = {"name": "Points", "currency_label": "pts"}
STATE = ("states", "lots", "closed")


class Faulty:
    """The rule of `point_add` raises where 13 points are added, until it is mended."""

    def __init__(self) -> None:
        self.mended = False

    def decide(self, event: Event, state: CustomerPoints, program: Program) -> Decision:
        if not self.mended and isinstance(event.data, PointAdd) and event.data.points == 13:
            raise ZeroDivisionError("thirteen")
        return decide(event, state, program)


@pytest.fixture
def rule(monkeypatch: pytest.MonkeyPatch) -> Faulty:
    faulty = Faulty()
    monkeypatch.setattr(points_handler, "decide", faulty.decide)
    return faulty


def desk_of(settings: Settings) -> Desk:
    made = Desk(settings, "points", build)
    made.configure("accounts", "main", NAMED | {"init_on_opt_in": True})
    made.configure("settings", "settings", {"default_account": "main"})
    return made


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    made = desk_of(settings)
    yield made
    made.close()


def opt_in(customer: str = "anna") -> Submitted:
    return Submitted(customer, "opt_in")


def add(points: int, customer: str = "anna", id_: str = "") -> Submitted:
    return Submitted(customer, "point_add", {"points": points}, id=id_)


def spend(points: int, customer: str = "anna", id_: str = "") -> Submitted:
    return Submitted(customer, "point_spend", {"points": points}, id=id_)


def unpark(customer: str = "anna", service: str = "points") -> Submitted:
    return Submitted(customer, "unpark", {"service": service}, id=f"~unpark:{customer}")


def outcomes(said: list[tuple[str, Any, Any]]) -> dict[str, str]:
    """Event → status of what was answered."""
    return {
        told["ce_id"]: value["status"] for topic, told, value in said if topic == "events.outcomes"
    }


def state(desk: Desk, customer: str) -> Document:
    found: Document = desk.documents("states")[f"demo/{customer}"]
    return found


def test_a_rule_that_raises_parks_its_customer_and_nobody_else(desk: Desk, rule: Faulty) -> None:
    said = desk.batch(
        desk.logged(opt_in(), opt_in("bert"), add(13, id_="bad"), add(5, "bert", "good"))
    )
    assert outcomes(said) == {"bad": "parked", "good": "accepted"}
    assert desk.letters == ["a rule raised ZeroDivisionError: thirteen"]
    assert state(desk, "bert")["accounts"]["main"]["score"] == 5
    assert state(desk, "anna")["accounts"]["main"]["score"] == 0
    (parked,) = desk.documents("parked_customers").values()
    assert (parked["_id"], parked["waiting"]) == ("demo/anna", 1)
    assert parked["reason"] == "ZeroDivisionError: thirteen"


def test_what_follows_waits_in_order_also_after_a_restart(desk: Desk, rule: Faulty) -> None:
    desk.batch(desk.logged(opt_in(), add(13, id_="bad"), add(1, id_="next")))
    desk.start()
    said = desk.batch(desk.logged(add(2, id_="later"), add(3, "bert", "stranger")))
    assert outcomes(said)["later"] == "parked"
    waiting = sorted(desk.documents("parked").values(), key=lambda each: int(each["_id"]))
    assert [each["event"] for each in waiting] == ["bad", "next", "later"]
    assert desk.documents("parked_customers")["demo/anna"]["waiting"] == 3


def test_unparked_events_end_as_if_the_rule_had_never_raised(
    desk: Desk, rule: Faulty, settings: Settings
) -> None:
    events = [opt_in(), add(20), add(13, id_="bad"), spend(30, id_="s-1"), spend(30, id_="s-2")]
    desk.batch(desk.logged(*events))
    rule.mended = True
    desk.batch(desk.logged(unpark()))
    said = desk.batch([])
    assert outcomes(said) == {"bad": "accepted", "s-1": "accepted", "s-2": 409}
    assert desk.documents("parked_customers") == {}
    after = {name: desk.documents(name) for name in STATE}
    never = desk_of(settings.model_copy(update={"namespace": f"{settings.namespace}-never"}))
    never.batch(never.logged(*events))
    assert {name: never.documents(name) for name in STATE} == after
    never.close()


def test_an_unparked_decision_stands_where_it_was_decided_with_its_events_own_stamps(
    desk: Desk, rule: Faulty
) -> None:
    joined, bad, at_once = desk.logged(opt_in(), add(13, id_="bad"), unpark())
    desk.batch([joined, bad])
    rule.mended = True
    desk.batch([at_once])
    desk.batch([])
    decision = next(each for each in desk.documents("decisions").values() if each["event"] == "bad")
    partition = bad.partition
    assert decision["_id"] == number(partition, int(at_once.headers["seq"]))
    assert instant(decision["at"]) == bad.headers["recorded_at"]
    record = desk.documents("parked")[number(partition, int(bad.headers["seq"]))]
    assert record["decision"] == decision["_id"]
    assert "value" not in record


def test_a_rule_that_still_raises_keeps_its_customer_parked(desk: Desk, rule: Faulty) -> None:
    desk.batch(desk.logged(opt_in(), add(13, id_="bad"), add(5, id_="next")))
    desk.batch(desk.logged(unpark()))
    desk.letters.clear()
    desk.batch([])
    (parked,) = desk.documents("parked_customers").values()
    assert (parked["waiting"], parked["event"], "unparking" in parked) == (2, "bad", False)
    assert desk.letters == []
    assert not desk.handler.due(desk.cursors)


def test_a_second_bad_event_is_the_next_to_wait(desk: Desk, rule: Faulty) -> None:
    class Twice(Faulty):
        def decide(self, event: Event, state: CustomerPoints, program: Program) -> Decision:
            if event.id == "bad-2":
                raise KeyError("second")
            return decide(event, state, program)

    desk.batch(desk.logged(opt_in(), add(13, id_="bad"), add(5), add(6, id_="bad-2"), add(7)))
    points_handler.decide = Twice().decide  # type: ignore[attr-defined]  # the fixture undoes it
    desk.batch(desk.logged(unpark()))
    desk.batch([])
    assert state(desk, "anna")["accounts"]["main"]["score"] == 18
    (parked,) = desk.documents("parked_customers").values()
    assert (parked["event"], parked["waiting"]) == ("bad-2", 2)


def test_events_that_come_while_others_are_unparked_stay_in_order(
    desk: Desk, rule: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.owner.UNPARKED_EVENTS_MAX", 2)
    desk.batch(desk.logged(opt_in(), add(13), *[add(1) for _ in range(4)]))
    rule.mended = True
    desk.batch(desk.logged(unpark()))
    while desk.handler.due(desk.cursors):
        desk.batch(desk.logged(add(1)))
    assert desk.documents("parked_customers") == {}
    decided = [
        each for each in desk.documents("decisions").values() if each["action"] == "point_add"
    ]
    ordered = sorted(decided, key=lambda each: int(each["_id"]))
    assert [each["at"] for each in ordered] == sorted(each["at"] for each in decided)
    assert state(desk, "anna")["accounts"]["main"]["score"] == 13 + len(decided) - 1


def test_a_forgotten_customers_unparked_events_belong_to_their_generations(
    desk: Desk, rule: Faulty
) -> None:
    events = [opt_in(), add(13, id_="bad"), Submitted("anna", "opt_out"), opt_in(), add(4)]
    desk.batch(desk.logged(*events))
    rule.mended = True
    desk.batch(desk.logged(unpark()))
    desk.batch([])
    found = state(desk, "anna")
    assert (found["generation"], found["accounts"]["main"]["score"]) == (2, 4)
    counted = [each for key, each in desk.documents("decisions").items() if key >= found["since"]]
    assert sorted(each["action"] for each in counted) == ["opt_in", "point_add"]


@pytest.mark.parametrize("service", ["customers", "points"])
def test_an_unpark_for_another_service_or_of_nobody_changes_nothing(
    desk: Desk, rule: Faulty, service: str
) -> None:
    customer = "anna" if service == "customers" else "bert"
    desk.batch(desk.logged(opt_in(), add(13)))
    before = desk.documents("parked_customers")
    rule.mended = True
    assert desk.batch(desk.logged(unpark(customer, service))) == []
    assert not desk.handler.due(desk.cursors)
    assert desk.documents("parked_customers") == before


def test_a_batch_that_parks_and_a_batch_that_unparks_can_be_redone(
    desk: Desk, rule: Faulty
) -> None:
    def twice(messages: list[Message]) -> None:
        desk.decide(messages)
        desk.handler.forget(list(desk.cursors))
        desk.batch(messages)

    twice(desk.logged(opt_in(), add(13), add(5)))
    rule.mended = True
    twice(desk.logged(unpark()))
    twice([])
    assert state(desk, "anna")["accounts"]["main"]["score"] == 18
    assert desk.documents("parked_customers") == {}


def test_what_needs_raise_parks_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def needs_lots(*_: object) -> tuple[str, ...]:
        raise LookupError("no account")

    monkeypatch.setattr(points_handler, "needs_lots", needs_lots)
    desk.batch(desk.logged(add(5, id_="bad")))
    assert desk.documents("parked_customers")["demo/anna"]["reason"] == "LookupError: no account"


def test_a_reason_is_bounded() -> None:
    assert len(parking.reason(ValueError("x" * 5_000))) == parking.REASON_CHARACTERS_MAX


def test_the_indexes_are_made_with_the_handler(desk: Desk, settings: Settings) -> None:
    client: MongoClient[Document] = desk.client
    database = client[settings.database("points")]
    assert "tenant_1_customer_1__id_1" in database["parked"].index_information()
    assert "partition_1" in database["parked_customers"].index_information()
