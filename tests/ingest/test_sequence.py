"""A partition's sequence: numbers without gaps, stamps that never go back, hashes that chain."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.ingest.domain.sequence import (
    GENESIS,
    Sequence,
    chained,
    clamp,
    milliseconds,
    record,
)
from shared.contracts.batches import batch_id, first_seq_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
EVENT = {
    "id": "e-1", "tenant": "demo", "customer": "c-1", "action": "opt_in", "partition": 3, "seq": 7,
    "at": NOON, "time": NOON - SECOND, "program": 2, "content": "ab", "source": "gateway",
    "cause": "", "hops": 0, "body": '{"id":"e-1"}',
}  # fmt: skip


def test_numbers_are_dense_from_one() -> None:
    log = Sequence(partition=3)
    assert [log.take() for _ in range(3)] == [1, 2, 3]


def test_a_clock_that_goes_back_is_not_followed() -> None:
    log = Sequence(partition=3)
    stamps = [log.stamp(NOON + offset * SECOND) for offset in (0, 5, 2, 5, 6)]
    assert stamps == [NOON + offset * SECOND for offset in (0, 5, 5, 5, 6)]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        pytest.param(None, NOON, id="none: when it was recorded"),
        pytest.param(NOON - timedelta(days=3), NOON - timedelta(days=3), id="within: as sent"),
        pytest.param(NOON - timedelta(days=900), NOON - timedelta(days=400), id="400 days back"),
        pytest.param(NOON + timedelta(hours=2), NOON + timedelta(minutes=5), id="5 minutes ahead"),
    ],
)
def test_a_clients_time_is_clamped(time: datetime | None, expected: datetime) -> None:
    assert clamp(time, NOON) == expected


@pytest.mark.parametrize(
    ("ticked", "now", "due"),
    [
        pytest.param(None, NOON + 20 * SECOND, NOON, id="the first one is of this minute"),
        pytest.param(NOON, NOON + 59 * SECOND, None, id="once a minute"),
        pytest.param(NOON, NOON + 60 * SECOND, NOON + 60 * SECOND, id="the next minute's"),
        pytest.param(
            NOON, NOON + timedelta(hours=3), NOON + timedelta(hours=3), id="one after a pause"
        ),
        pytest.param(NOON, NOON - timedelta(hours=3), None, id="none when the clock goes back"),
    ],
)
def test_a_tick_is_due_each_minute(
    ticked: datetime | None, now: datetime, due: datetime | None
) -> None:
    assert Sequence(partition=0, ticked=ticked).due_tick(now) == due


@pytest.mark.parametrize("member", EVENT)
def test_a_change_of_any_stored_member_breaks_the_chain(member: str) -> None:
    value = EVENT[member]
    changed = value + SECOND if isinstance(value, datetime) else f"{value}1"
    tampered = record(EVENT | {member: changed})
    assert chained(GENESIS, [tampered]) != chained(GENESIS, [record(EVENT)])


def test_a_hash_depends_on_what_came_before_and_on_the_order() -> None:
    one, two = record(EVENT), record(EVENT | {"id": "e-2"})
    first = chained(GENESIS, [one])
    assert chained(first, [two]) != chained(GENESIS, [two])
    assert chained(GENESIS, [one, two]) != chained(GENESIS, [two, one])
    assert chained(GENESIS, [one, two]) != chained(GENESIS, [one + two])


def test_batches_are_in_the_order_of_the_log() -> None:
    ids = [batch_id(0, 1), batch_id(0, 2**39), batch_id(1, 1), batch_id(1022, 5)]
    assert ids == sorted(ids)
    assert ids[-1] < 2**63
    assert [first_seq_of(each) for each in ids] == [1, 2**39, 1, 5]


def test_instants_have_whole_milliseconds_in_utc() -> None:
    there = datetime(2026, 3, 1, 13, 0, 0, 123_999, tzinfo=timezone(timedelta(hours=1)))
    assert milliseconds(there) == NOON + timedelta(milliseconds=123)
