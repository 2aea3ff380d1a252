"""What a worker says of its lag: messages, and an age that is never less than the true one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from confluent_kafka import TopicPartition
from prometheus_client import REGISTRY

from shared.runtime import lag as lag_module
from shared.runtime.lag import Lag
from shared.runtime.ports import Cursor, Input

LOG = "events.log"
NOW = 1_000_000.0


@dataclass
class Ends:
    """A topic's ends as the last fetch told them; -1001 before there was one."""

    ends: dict[int, int] = field(default_factory=dict)

    def get_watermark_offsets(self, place: TopicPartition, **_: bool) -> tuple[int, int]:
        return 0, self.ends.get(place.partition, -1001)


@dataclass
class Desk:
    """A worker of partitions 0 and 1, looked at whenever a test says so."""

    service: str
    ends: Ends = field(default_factory=Ends)
    now: float = NOW
    lag: Lag = field(init=False)

    def __post_init__(self) -> None:
        source = self.ends
        self.lag = Lag(self.service, [Input(LOG)], source, str, lambda: self.now)  # type: ignore[arg-type]  # the part of a consumer that is asked

    def turned(self, positions: Mapping[int, int]) -> tuple[float, float]:
        """Messages and seconds, as the gauges have them after a turn."""
        self.lag.turned(_cursors(positions))
        return self._told()

    def waiting(self, positions: Mapping[int, int]) -> tuple[float, float]:
        self.lag.waiting(_cursors(positions))
        return self._told()

    def _told(self) -> tuple[float, float]:
        labels = {"service": self.service, "topic": LOG}
        values = [REGISTRY.get_sample_value(f"laurel_lag_{unit}", labels) for unit in UNITS]
        assert None not in values
        return float(values[0] or 0), float(values[1] or 0)


UNITS = ("messages", "seconds")


def _cursors(positions: Mapping[int, int]) -> dict[int, Cursor]:
    return {p: Cursor(p, 1, next={LOG: offset}) for p, offset in positions.items()}


@pytest.fixture
def desk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(lag_module, "LAG_EVERY_SECONDS", 0.0)
    return Desk(request.node.name)


def test_nothing_waits(desk: Desk) -> None:
    desk.ends.ends = {0: 10, 1: 0}
    assert desk.turned({0: 10, 1: 0}) == (0, 0)


def test_before_the_first_fetch_nothing_is_claimed(desk: Desk) -> None:
    assert desk.turned({0: 10, 1: 0}) == (0, 0)


def test_an_age_counts_from_the_last_message_taken(desk: Desk) -> None:
    desk.ends.ends = {0: 10, 1: 10}
    desk.lag.read(LOG, 0, int((NOW - 30) * 1000))
    desk.lag.read(LOG, 1, int((NOW - 50) * 1000))
    assert desk.turned({0: 4, 1: 8}) == (8, 50)


def test_after_a_quiet_time_an_age_counts_from_the_last_look(desk: Desk) -> None:
    desk.ends.ends = {0: 10}
    desk.lag.read(LOG, 0, int((NOW - 3600) * 1000))
    assert desk.turned({0: 10}) == (0, 0)
    desk.ends.ends = {0: 11}
    desk.now += 2
    assert desk.turned({0: 10}) == (1, 2)


def test_a_backlog_at_the_start_counts_from_the_start_and_then_from_its_messages(
    desk: Desk,
) -> None:
    desk.ends.ends = {0: 10}
    assert desk.turned({0: 0}) == (10, 0)
    desk.now += 5
    assert desk.waiting({0: 0}) == (10, 5)
    desk.lag.read(LOG, 0, int((desk.now - 600) * 1000))
    desk.now += 1
    assert desk.turned({0: 1}) == (9, 601)


def test_what_was_polled_is_not_taken_before_the_turn_ends(desk: Desk) -> None:
    desk.ends.ends = {0: 2}
    assert desk.turned({0: 2}) == (0, 0)
    desk.ends.ends = {0: 3}
    desk.now += 40
    desk.lag.read(LOG, 0, int((desk.now - 1) * 1000))
    assert desk.waiting({0: 2}) == (1, 40)
    assert desk.turned({0: 3}) == (0, 0)


def test_a_partition_that_was_away_starts_anew(desk: Desk) -> None:
    desk.ends.ends = {0: 2}
    desk.lag.read(LOG, 0, int((NOW - 900) * 1000))
    assert desk.turned({0: 1}) == (1, 900)
    assert desk.turned({}) == (0, 0)
    assert desk.turned({0: 1}) == (1, 0)
