"""Decisions: numbers that chain, documents that announce the same twice."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import decode as from_bson
from bson import encode as to_bson
from msgspec.structs import replace

from shared.contracts.decisions import accepted, followed, number, place, refused
from shared.contracts.events import Event, PointAdd
from shared.contracts.facts import PointsEarned
from shared.contracts.outcomes import outcome_of
from shared.runtime.deciding import Decided, announcements
from shared.runtime.mongo import CODEC
from shared.runtime.ports import BrokenInvariant, Cursor, Outgoing

NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
BALANCES = {"balances": {"main": {"score": 5, "spendable": 5}}}


def event(seq: int, *, partition: int = 3, reply_to: str = "") -> Event:
    """A `point_add` at a place of the log."""
    return Event(
        id=f"e-{seq}",
        tenant="demo",
        customer="c-1",
        action="point_add",
        account="",
        time=NOON,
        recorded_at=NOON,
        program=2,
        partition=partition,
        seq=seq,
        data=PointAdd(points=5),
        reply_to=reply_to,
    )


def decided(last: int = 0) -> Decided:
    return Decided("points", {3: Cursor(3, 1, last=last)}, "log-1")


def earned(points: int = 5, expires_at: datetime | None = None) -> PointsEarned:
    return PointsEarned("main", points, expires_at)


def header(out: Outgoing, name: str) -> str:
    return dict(out.headers)[name].decode()


def test_a_number_says_where_in_the_log_the_decision_stands() -> None:
    assert place(number(1022, 2**37 - 1, 65_535)) == (1022, 2**37 - 1)
    assert number(1022, 2**37 - 1, 65_535) < 2**63
    assert number(3, 7) < number(3, 7, 1) < number(3, 8) < number(4, 1)


def test_each_decision_names_the_one_before_it_in_its_partition() -> None:
    work = decided(last=number(3, 4))
    for seq in (6, 9):
        work.record(event(seq), accepted(earned()), BALANCES)
    first, second = work.outgoing()
    assert header(first, "previous") == str(number(3, 4))
    assert header(second, "previous") == header(first, "decision") == str(number(3, 6))
    assert work.last == {3: number(3, 9)}


def test_more_decisions_at_one_place_take_the_next_ordinals() -> None:
    work = decided(last=number(3, 5, 4))
    assert work.ordinal(3, 5) == 5
    for ordinal in range(3):
        assert work.ordinal(3, 6) == ordinal
        again = replace(event(6), ordinal=ordinal)
        assert work.record(again, accepted(), {})["_id"] == number(3, 6, ordinal)


def test_a_log_that_goes_backwards_stops_the_process() -> None:
    with pytest.raises(BrokenInvariant, match="would not follow"):
        decided(last=number(3, 8)).record(event(7), accepted(), {})


@pytest.mark.parametrize("points", [5, 2**31, 2**52])
@pytest.mark.parametrize("expires_at", [None, NOON])
def test_what_is_announced_again_from_storage_is_what_was_announced(
    points: int, expires_at: datetime | None
) -> None:
    work = decided()
    work.record(event(6, reply_to="gateway-1/9"), accepted(earned(points, expires_at)), BALANCES)
    work.record(event(7, reply_to="gateway-1/10"), refused("insufficient_points", missing=3), {})
    stored: list[dict[str, Any]] = [
        from_bson(to_bson(document), codec_options=CODEC) for document in work.documents
    ]
    assert list(announcements(stored, "points", "log-1")) == list(work.outgoing())


def test_who_waits_gets_the_outcome_and_a_follower_answers_nobody() -> None:
    work = decided()
    work.record(event(6, reply_to="gateway-1/9"), accepted(earned(expires_at=NOON)), BALANCES)
    work.record(event(7, reply_to="gateway-1/10"), followed(), {})
    (answer,) = [out for out in work.outgoing() if out.topic == "events.outcomes"]
    outcome = json.loads(answer.value)
    assert answer.key == b"gateway-1"
    assert (outcome["id"], outcome["position"], outcome["duplicate"]) == ("e-6", "3-6", False)
    assert outcome["recorded_at"] == "2026-03-01T12:00:00.250Z"
    assert outcome["facts"] == [
        {"type": "points_earned", "account": "main", "points": 5}
        | {"expires_at": "2026-03-01T12:00:00.250Z"}
    ]


def test_a_refusal_is_a_problem_with_its_details() -> None:
    document = decided().record(event(6), refused("insufficient_points", missing=3), {})
    problem = outcome_of(document, duplicate=True)
    members = ("code", "status", "retryable", "id", "missing", "duplicate")
    assert [problem[name] for name in members] == ["insufficient_points", 409, True, "e-6", 3, True]
