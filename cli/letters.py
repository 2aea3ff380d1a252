"""Dead letters: what services put aside as unreadable, with why and where from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from confluent_kafka import Message
from confluent_kafka.admin import AdminClient

from cli.positions import Watermarks, watermarks
from cli.problems import CommandError
from cli.records import Records, RecordsMissing, Span, at_ms
from shared.contracts.topics import INBOX, TOPICS, dead
from shared.runtime.messages import text_headers
from shared.runtime.settings import Settings

DEAD_TOPICS = tuple(topic.name for topic in TOPICS if topic.name.endswith(dead("")))
READ_SECONDS = 10.0
FILTERED_MAX = 1_000
"""A filter looks at so many letters of each partition, the newest."""
LETTERS_AT_A_TIME = 500


class Place(NamedTuple):
    """Where a letter lies: the topic without namespace and `.dead`, and its place there.

    As text `events.inbox/3/17`; that is its id.
    """

    source: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.source}/{self.partition}/{self.offset}"

    @property
    def topic(self) -> str:
        """`events.inbox.dead`"""
        return dead(self.source)


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. Headers that are not UTF-8 are in `original` alone."""

    place: Place
    at: datetime
    """When it was buried."""
    headers: dict[str, str]
    value: bytes
    original: Message


def place_of(words: Sequence[str]) -> Place:
    """`["events.inbox/3/17"]` or `["events.inbox", "3", "17"]`, the topic also with `.dead`.

    Raises `CommandError`.
    """
    topic, *numbers = "/".join(words).split("/")
    source = topic.removesuffix(dead(""))
    numeric = len(numbers) == 2 and all(number.isdecimal() for number in numbers)
    if not numeric or dead(source) not in DEAD_TOPICS:
        raise CommandError(
            f"{' '.join(words)!r} names no dead letter: give topic, partition and offset, or an id "
            f"such as {INBOX.name}/3/17; `./laurel dead list` shows them."
        )
    return Place(source, *map(int, numbers))


class Letters:
    """The dead topics of a namespace."""

    def __init__(self, settings: Settings, admin: AdminClient, records: Records) -> None:
        self._settings = settings
        self._admin = admin
        self._records = records

    def marks(self, topics: Iterable[str] = DEAD_TOPICS) -> dict[tuple[str, int], Watermarks]:
        """First and next offset of each partition, by topic without namespace."""
        names = {self._settings.topic(topic): topic for topic in topics}
        found = watermarks(self._admin, names)
        return {(names[name], partition): mark for (name, partition), mark in found.items()}

    def newest(self, topics: Iterable[str], service: str | None, limit: int) -> list[Letter]:
        """The last `limit` letters by Kafka's timestamp, newest first.

        With `service`, of the newest `FILTERED_MAX` of each partition.
        """
        depth = limit if service is None else max(limit, FILTERED_MAX)
        spans = [
            self._span(topic, partition, max(mark.low, mark.high - depth), mark.high)
            for (topic, partition), mark in self.marks(topics).items()
        ]
        found = [
            letter
            for letter in self._read(spans)
            if service is None or letter.headers.get("dead_service") == service
        ]
        found.sort(key=lambda letter: (letter.at, letter.place), reverse=True)
        return found[:limit]

    def one(self, place: Place) -> Letter:
        """Raises `CommandError` where there is no such letter (any more)."""
        mark = self.marks([place.topic]).get((place.topic, place.partition))
        if mark is not None and mark.low <= place.offset < mark.high:
            start = place.offset
            for letter in self._read([self._span(place.topic, place.partition, start, start + 1)]):
                return letter
        if mark is None:
            held = f"{place.topic} has no partition {place.partition}"
        elif mark.low == mark.high:
            held = f"partition {place.partition} of {place.topic} holds no letter now"
        else:
            held = (
                f"partition {place.partition} of {place.topic} holds {mark.low} to {mark.high - 1}"
            )
        raise CommandError(f"there is no dead letter {place}: {held}.")

    def all_of(self, topic: str) -> Iterator[Letter]:
        """Every letter that is there when it is asked, in order within a partition, in chunks."""
        for (_, partition), mark in sorted(self.marks([topic]).items()):
            for start in range(mark.low, mark.high, LETTERS_AT_A_TIME):
                end = min(mark.high, start + LETTERS_AT_A_TIME)
                yield from self._read([self._span(topic, partition, start, end)])

    def _span(self, topic: str, partition: int, start: int, end: int) -> Span:
        return Span(self._settings.topic(topic), partition, start, end, end - start)

    def _read(self, spans: Iterable[Span]) -> Iterator[Letter]:
        try:
            for _, message in self._records.read(spans, READ_SECONDS):
                yield _letter(message, self._settings)
        except RecordsMissing as error:
            raise CommandError(
                f"Kafka did not hand over the letters within {READ_SECONDS:g} s ({error}); "
                "try again, or with a smaller --limit."
            ) from error


def _letter(message: Message, settings: Settings) -> Letter:
    topic = (message.topic() or "").removeprefix(settings.topic(""))
    value = message.value()
    return Letter(
        place=Place(topic.removesuffix(dead("")), message.partition() or 0, message.offset() or 0),
        at=datetime.fromtimestamp(at_ms(message) / 1000, UTC),
        headers=text_headers(message.headers()),
        value=value if isinstance(value, bytes) else b"",
        original=message,
    )
