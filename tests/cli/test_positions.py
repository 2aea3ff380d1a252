"""When every service has taken in everything, and how long a topic keeps its messages."""

import pytest

from cli.positions import Position, behind
from cli.topics import duration

CAUGHT_UP = [Position("points", "events.log", partition, 10, 10) for partition in (0, 1)]


@pytest.mark.parametrize(
    ("found", "left"),
    [
        pytest.param(CAUGHT_UP, 0, id="nothing left"),
        pytest.param([CAUGHT_UP[0], Position("points", "events.log", 1, 7, 10)], 3, id="three"),
        pytest.param(CAUGHT_UP[:1], None, id="a partition without a position"),
        pytest.param([], None, id="a service without any"),
        pytest.param(
            [*CAUGHT_UP, Position("query", "points.facts", 0, 4, 5)], 1, id="another one behind"
        ),
        pytest.param(
            [CAUGHT_UP[0], Position("points", "events.log", 1, 12, 10)], 0, id="the end moved on"
        ),
    ],
)
def test_what_is_left_to_take_in(found: list[Position], left: int | None) -> None:
    assert behind(found, ["points"], 2) == left


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(14 * 86_400_000, "14 days"), (3_600_000, "1 hour"), (-1, "for ever"), (90_000, "90 seconds"),
     (86_400_000, "1 day"), (1_500, "1500 ms")],
)  # fmt: skip
def test_retention_in_words(milliseconds: int, words: str) -> None:
    assert duration(milliseconds) == words
