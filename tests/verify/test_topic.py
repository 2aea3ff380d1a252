"""A topic beside what is stored: retention, messages sent again, holes, strays, readers."""

from collections.abc import Iterator, Sequence

import pytest

from cli.verify.findings import Findings
from cli.verify.topic import Carried, Place, Reader, Topic


class Lines(Place):
    """A partition whose messages are given: their numbers in order, the first at offset `low`."""

    def __init__(self, numbers: Sequence[int | None], low: int = 0) -> None:
        self._numbers = numbers
        self.low, self.high = low, low + len(numbers)

    def messages(self, number_header: str) -> Iterator[Carried | int]:
        headers = {"tenant": b"demo", "customer": b"c-1"}
        for offset, number in enumerate(self._numbers, self.low):
            yield offset if number is None else Carried(offset, number, b"", b"", headers)


def walk(
    place: Lines, stored: Sequence[int], announced: int = 100, readers: Sequence[Reader] = ()
) -> list[str]:
    """The differences of a topic of facts that was announced up to `announced`."""
    found = Findings(50)
    last = max([*stored, announced])
    topic = Topic("points.facts", 3, place, "decision", announced, last, list(readers), found)
    for number in stored:
        message = topic.take(number, "demo/c-1")
        assert message is None or message.number == number
    topic.finish()
    return [str(difference) for difference in found.differences]


@pytest.mark.parametrize(
    ("numbers", "low", "stored", "announced"),
    [
        pytest.param([10, 20, 30], 0, [10, 20, 30], 30, id="everything is there"),
        pytest.param([20, 30], 1, [10, 20, 30], 30, id="retention took the first"),
        pytest.param([], 3, [10, 20, 30], 30, id="retention took all"),
        pytest.param([10, 20, 10, 20, 30], 0, [10, 20, 30], 30, id="some were sent again"),
        pytest.param([10, 20], 0, [10, 20, 30], 20, id="the last is not announced yet"),
        pytest.param([10, 20, 30, 40], 0, [10, 20], 30, id="the last came after the snapshot"),
    ],
)
def test_nothing_is_wrong(
    numbers: list[int | None], low: int, stored: list[int], announced: int
) -> None:
    found = Findings(50)
    topic = Topic(
        "points.facts", 3, Lines(numbers, low), "decision", announced, stored[-1], [], found
    )
    for number in stored:
        topic.take(number, "demo/c-1")
    topic.finish()
    assert found.differences == []


@pytest.mark.parametrize(
    ("numbers", "stored", "said"),
    [
        pytest.param([10, 30], [10, 20, 30], "20: is missing, though later ones", id="a hole"),
        pytest.param([10, 20], [10, 20, 30], "30: is missing, though it counts", id="no tail"),
        pytest.param([10, 20, 30], [10, 30], "20: was announced, but nothing", id="not stored"),
        pytest.param([10, None], [10], "3: holds a message without a number", id="none of ours"),
    ],
)
def test_what_is_wrong_is_said_once(
    numbers: list[int | None], stored: list[int], said: str
) -> None:
    (difference,) = walk(Lines(numbers), stored, announced=stored[-1])
    assert said in difference


@pytest.mark.parametrize(
    ("reader", "low", "wrong"),
    [
        pytest.param(Reader(2, "query", 20), 0, False, id="has seen what is before its offset"),
        pytest.param(Reader(4, "query", 20), 0, False, id="also where it was sent again"),
        pytest.param(Reader(2, "query", 10), 0, True, id="passed a message unseen"),
        pytest.param(Reader(2, "query", 30), 0, True, id="has seen what it did not read"),
        pytest.param(Reader(7, "query", 30), 5, False, id="or has read it in the archive"),
        pytest.param(Reader(3, "query", 90), 5, False, id="what it read last is gone"),
        pytest.param(Reader(6, "query", 30), 0, True, id="reads beyond the end"),
    ],
)
def test_where_a_reader_stands_is_what_it_has_seen(reader: Reader, low: int, wrong: bool) -> None:
    place = Lines([10, 20, 10, 20, 30], low)
    found = walk(place, [10, 20, 30], announced=30, readers=[reader])
    assert [difference[:18] for difference in found] == ["-  query.cursors 3"] * wrong
