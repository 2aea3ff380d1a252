"""Dead letters on the screen: ids, bounded bodies, and why some are not put back."""

import json

import pytest

from cli.dead import DUMPED_LINES_MAX, LINES_MAX, body, printable
from cli.letters import Place, place_of
from cli.problems import CommandError
from cli.replaying import not_replayable


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["events.inbox/3/17"], id="an id as listed"),
        pytest.param(["events.inbox", "3", "17"], id="three words"),
        pytest.param(["events.inbox.dead", "3", "17"], id="with the topic's whole name"),
    ],
)
def test_a_letter_is_named_by_its_place(words: list[str]) -> None:
    assert place_of(words) == Place("events.inbox", 3, 17)
    assert str(place_of(words)) == "events.inbox/3/17"


@pytest.mark.parametrize(
    "words",
    [
        ["events.inbox"],
        ["events.inbox", "3"],
        ["events.inbox", "x", "17"],
        ["events.inbox", "3", "-1"],
        ["events.outcomes", "3", "17"],  # what nobody reads from its start has no dead letters
        ["a/b/c/d"],
        [""],
    ],
)
def test_what_names_no_letter_is_answered_with_an_example(words: list[str]) -> None:
    with pytest.raises(CommandError, match=r"events\.inbox/3/17"):
        place_of(words)


@pytest.mark.parametrize(
    ("place", "instead"),
    [
        (Place("events.inbox", 0, 0), ""),
        (Place("events.log", 0, 0), "unpark the customer"),
        (Place("points.facts", 0, 0), "database of points"),
        (Place("customers.facts", 0, 0), "database of customers"),
    ],
    ids=str,
)
def test_only_the_inbox_takes_its_letters_back(place: Place, instead: str) -> None:
    assert (instead in not_replayable(place)) if instead else not not_replayable(place)


def _lines(value: bytes) -> list[str]:
    return [line.plain for line in body(value)]


def test_json_is_shown_with_indents() -> None:
    assert _lines(b'{"id": "a", "n": 1}') == ["{", '  "id": "a",', '  "n": 1', "}"]


@pytest.mark.parametrize("value", [b"\xff\xfe", b"[" * 5_000, b"{"], ids=lambda value: value[:3])
def test_what_is_no_json_is_shown_as_a_hex_dump(value: bytes) -> None:
    assert _lines(value)[0].startswith(f"00000000  {value[:2].hex(' ')}")


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        pytest.param(json.dumps(list(range(10_000))).encode(), LINES_MAX, id="many lines"),
        pytest.param(json.dumps({"a": "x" * 10_000}).encode(), 3, id="a long line"),
        pytest.param(b"\xff" * 3_000_000, DUMPED_LINES_MAX, id="many bytes"),
    ],
)
def test_a_body_is_bounded_and_says_so(value: bytes, lines: int) -> None:
    shown = _lines(value)
    assert len(shown) == lines + 1
    assert "--raw" in shown[-1]


def test_a_message_does_not_steer_the_terminal() -> None:
    assert printable("a\x1b[31m\u202e\n").plain == r"a\x1b[31m\u202e\n"
