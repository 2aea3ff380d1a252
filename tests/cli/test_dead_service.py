"""Dead letters on a real broker, buried by the code of the services, seen by the commands."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer
from typer.testing import CliRunner, Result

from cli.dead import app
from cli.letters import DEAD_TOPICS
from cli.positions import open_admin, watermarks
from cli.problems import CommandError
from shared.runtime.announcing import Announcer
from shared.runtime.kafka import producer_settings
from shared.runtime.ports import Dead, Message
from shared.runtime.settings import Settings
from tests.faults.model import messages
from tests.running import variables_of

BYTES = b"\xff no json"
HEADERS = {"ce_id": "e-1", "ce_type": "checkout", "tenant": "demo", "customer": "c-1"}

Laurel = Callable[..., Result]


@pytest.fixture
def laurel(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Laurel:
    """`./laurel dead …` on the test's servers."""
    for name, value in variables_of(settings).items():
        monkeypatch.setenv(name, value)
    _until_topics_are_known(settings)
    runner = CliRunner()
    return lambda *words, **more: runner.invoke(app, list(words), env={"COLUMNS": "200"}, **more)


def _until_topics_are_known(settings: Settings) -> None:
    """A broker learns of new topics a while after the controller has made them."""
    admin, deadline = open_admin(settings), time.monotonic() + 60
    wanted = len(DEAD_TOPICS) * settings.partitions
    while True:
        with suppress(KafkaException):
            if len(watermarks(admin, map(settings.topic, DEAD_TOPICS))) == wanted:
                return
        assert time.monotonic() < deadline, "the broker does not know the topics"


def _bury(settings: Settings, service: str, *letters: Message) -> None:
    producer = Producer(producer_settings(settings, "suite"))
    announcer = Announcer(service, producer, settings.topic)
    announcer.bury([Dead(letter, f"reason {letter.offset}") for letter in letters], 30)
    producer.close()


def _message(topic: str, offset: int, partition: int = 1, value: bytes = BYTES) -> Message:
    return Message(topic, partition, offset, b"demo/c-1", value, HEADERS)


def _listed(laurel: Laurel, *words: str) -> list[dict[str, Any]]:
    answer = json.loads(laurel("list", "--json", *words).output)
    letters: list[dict[str, Any]] = answer["letters"]
    return letters


def test_nothing_is_dead(laurel: Laurel) -> None:
    listed = laurel("list")
    assert listed.output == "No dead letters.\n", listed.exception
    assert json.loads(laurel("list", "--json").output) == {"total": 0, "letters": []}
    assert "No dead letters" in laurel("replay", "--all").output


def test_letters_are_listed_newest_first_and_filtered(settings: Settings, laurel: Laurel) -> None:
    for offset in range(3):
        _bury(settings, "journal", _message("events.inbox", offset, partition=offset))
    _bury(settings, "points", _message("events.log", 9))
    assert [letter["id"] for letter in _listed(laurel)] == [
        "events.log/1/0", "events.inbox/2/0", "events.inbox/1/0", "events.inbox/0/0",
    ]  # fmt: skip
    newest = _listed(laurel, "--limit", "1", "--topic", "events.inbox")[0]
    assert newest.pop("at").endswith("Z")
    assert newest == {
        "id": "events.inbox/2/0", "topic": "events.inbox.dead", "partition": 2, "offset": 0,
        "service": "journal", "reason": "reason 2",
        "tenant": "demo", "customer": "c-1", "event": "e-1", "action": "checkout",
    }  # fmt: skip
    assert [letter["reason"] for letter in _listed(laurel, "--service", "points")] == ["reason 9"]
    assert "checkout e-1 of demo/c-1" in laurel("list").output
    assert "No dead letters of 'query'" in laurel("list", "--service", "query").output


def test_a_letter_is_shown_with_its_headers_and_bytes(settings: Settings, laurel: Laurel) -> None:
    _bury(settings, "journal", *(_message("events.inbox", offset) for offset in range(5)))
    shown = laurel("show", "events.inbox/1/3").output
    for words in ("reason 3", "demo/c-1", "ff 20 6e 6f"):
        assert words in shown
    assert laurel("show", "events.inbox", "1", "4", "--raw").stdout_bytes == BYTES
    missing = laurel("show", "events.inbox/1/5").exception
    assert isinstance(missing, CommandError)
    assert "holds 0 to 4" in str(missing)


def test_a_replayed_letter_is_on_the_inbox_as_it_came(settings: Settings, laurel: Laurel) -> None:
    bodies = [b"\xff%d" % number for number in range(3)]
    letters = (_message("events.inbox", n, value=body) for n, body in enumerate(bodies))
    _bury(settings, "journal", *letters)
    assert "1 letter put back" in laurel("replay", "events.inbox/1/1").output
    (found,) = messages(settings, "events.inbox")
    assert found[1:] == (HEADERS, bodies[1])
    assert len(_listed(laurel)) == 3  # a dead topic is append-only


def test_all_are_replayed_in_their_order_once_somebody_agrees(
    settings: Settings, laurel: Laurel
) -> None:
    bodies = [b"\xff%d" % number for number in range(1_100)]
    letters = (_message("events.inbox", n, value=body) for n, body in enumerate(bodies))
    _bury(settings, "journal", *letters)
    assert laurel("replay", "--all", input="n\n").exit_code == 1
    assert list(messages(settings, "events.inbox")) == []
    assert "1,100 letters put back" in laurel("replay", "--all", "--yes").output
    assert [value for _, _, value in messages(settings, "events.inbox")] == bodies


def test_nothing_is_replayed_where_one_letter_cannot_be(settings: Settings, laurel: Laurel) -> None:
    _bury(settings, "journal", _message("events.inbox", 0))
    for words in (["events.inbox/1/0", "events.inbox/1/1"], ["events.inbox/1/0", "events.log/0/0"]):
        assert isinstance(laurel("replay", *words).exception, CommandError)
    assert list(messages(settings, "events.inbox")) == []
