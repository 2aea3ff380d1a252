"""The lag on the screen: totals, ages in words, and who is parked."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from cli.lag import Behind, Look, Oldest, Parked, age, longest, page
from cli.positions import Position

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
INBOX = Behind(Position("journal", "events.inbox", 0, 5, 12), 3.25)
LOG = [
    Behind(Position("points", "events.log", 0, 4, 4), 0.0),
    Behind(Position("points", "events.log", 1, 1, 2_001), 125.0),
]


def _printed(look: Look) -> str:
    console = Console(file=StringIO(), width=120)
    console.print(page(look))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_messages_are_added_up_and_the_oldest_of_all_is_the_oldest() -> None:
    printed = _printed(Look(NOW, [INBOX, *LOG], []))
    totals = [line.split() for line in printed.splitlines() if " all " in line]
    assert [line[-2:] for line in totals[:1]] == [["3.2", "s"]]
    assert totals[-1] == ["all", "2,007", "2", "min", "5", "s"]
    assert "No customer is parked." in printed


def test_a_message_that_was_not_seen_in_time_makes_its_totals_unknown() -> None:
    printed = _printed(Look(NOW, [INBOX._replace(seconds=None), *LOG], []))
    totals = [line.split()[-1] for line in printed.splitlines() if " all " in line]
    assert totals == ["?", "s", "?"]


def test_the_parked_customer_who_waits_longest_is_named() -> None:
    oldest = Oldest("demo/c-[1]", "e-17", NOW - timedelta(hours=3, minutes=20), 4)
    printed = _printed(Look(NOW, [INBOX], [Parked("points", 12, 340, oldest)]))
    for words in ("points", "12", "340", "demo/c-[1]", "e-17", "2026-03-01 08:40", "3 h 20 min"):
        assert words in printed


def test_before_anything_was_taken_in_that_is_said() -> None:
    assert "No service has a position yet" in _printed(Look(NOW, [], []))


def test_nothing_waits_nowhere() -> None:
    assert longest([]) == 0.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "?"), (0.0, "0 s"), (0.04, "0.0 s"), (59.9, "59.9 s"), (60.0, "1 min 0 s"),
     (3_725.0, "1 h 2 min"), (180_000.0, "2 d 2 h")],
)  # fmt: skip
def test_an_age_in_words(seconds: float | None, words: str) -> None:
    assert age(seconds) == words
