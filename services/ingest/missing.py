"""Missing: what the log in Kafka has and the journal's database lacks, checked before use."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer

from services.ingest.tail import (
    TAIL_MESSAGES,
    Tail,
    Versions,
    another_log,
    log_ends,
    read_log,
    read_tails,
    versions_of,
)
from shared.contracts.topics import LOG
from shared.runtime.messages import log_link
from shared.runtime.ports import Message
from shared.runtime.settings import Settings

Advance = Callable[[int, int], None]
"""Told how many messages are read so far, and of how many."""


class RecoveryRefused(Exception):
    """It cannot be done like this; the text says why, and what to do. Nothing is half done."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Numbers of one partition, `first` to `last`, in the log from offset `start` up to `end`."""

    partition: int
    first: int
    last: int
    start: int
    end: int

    @property
    def count(self) -> int:
        """How many events and ticks."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Found:
    """What is missing, the log that it is from (empty: there is none), what it was stamped with."""

    missing: tuple[Missing, ...]
    lineage: str
    versions: Versions


def find_missing(
    reader: Consumer, settings: Settings, lasts: Mapping[int, int], lineage: str, advance: Advance
) -> Found:
    """Reads the log behind the database's last numbers, to its end.

    `lineage`: the database's log; empty: it has none, and takes that of Kafka. Raises
    `RecoveryRefused` for another log, for a hole, and where the log begins too late.
    """
    tails = read_tails(reader, settings)
    lineage = lineage or next((tail.lineage for tail in tails.values()), "")
    for partition, tail in tails.items():
        if tail.lineage != lineage:
            raise RecoveryRefused(another_log(settings, partition, tail.lineage, lineage))
    spans = _spans(reader, settings, lasts, tails)
    scans = {
        partition: _Scan(settings, lineage, partition, low, lasts[partition])
        for partition, (low, _, _) in spans.items()
    }
    total = sum(high - start for _, start, high in spans.values())
    places = {partition: (start, high) for partition, (_, start, high) in spans.items()}
    for done, message in enumerate(read_log(reader, settings, places), start=1):
        scans[message.partition].take(message)
        advance(done, total)
    versions: Versions = Counter()
    for scan in scans.values():
        versions |= scan.versions
    missing = tuple(found for scan in scans.values() if (found := scan.missing()) is not None)
    return Found(missing, lineage, versions)


def _spans(
    reader: Consumer, settings: Settings, lasts: Mapping[int, int], tails: Mapping[int, Tail]
) -> dict[int, tuple[int, int, int]]:
    """By partition: where the log begins, from where it has to be read, where it ends."""
    spans = {}
    for partition, (low, high) in log_ends(reader, settings).items():
        # Number n was never before offset n - 1, unless the topic was made anew since.
        start = min(max(low, lasts[partition]), high)
        if start == high and partition in tails and tails[partition].number > lasts[partition]:
            start = low
        spans[partition] = (low, start, high)
    looks = {p: (start, min(start + TAIL_MESSAGES, high)) for p, (_, start, high) in spans.items()}
    first: dict[int, int] = {}
    for message in read_log(reader, settings, looks):
        if (link := log_link(message.headers)) is not None:
            first.setdefault(message.partition, link.number)
    return {
        p: (low, low if first.get(p, 0) > lasts[p] + 1 else start, high)
        for p, (low, start, high) in spans.items()
    }


@dataclass(slots=True)
class _Scan:
    """One partition, message by message; `low`: the first offset that the topic still has."""

    settings: Settings
    lineage: str
    partition: int
    low: int
    last: int
    """The last number of the database; then the last one found."""
    versions: Versions = field(default_factory=Counter)
    _first: int = 0
    _start: int = 0
    _end: int = 0

    def take(self, message: Message) -> None:
        """The next message of the topic."""
        link = log_link(message.headers)
        if link is None:
            return
        if link.lineage != self.lineage:
            found = another_log(self.settings, self.partition, link.lineage, self.lineage)
            raise RecoveryRefused(found)
        if link.number <= self.last:
            return  # known, or sent again
        if link.number != self.last + 1:
            raise RecoveryRefused(self._gap(link.number))
        if "content" not in message.headers:
            raise RecoveryRefused(
                f"{self._topic()} number {link.number} does not carry the hash of its content: "
                "it was written by a version that could not be recovered from. Restore a newer "
                "copy of the journal's database"
            )
        if not self._first:
            self._first, self._start = link.number, message.offset
        self.last, self._end = link.number, message.offset + 1
        self.versions |= versions_of(message)

    def missing(self) -> Missing | None:
        """What was found, if anything."""
        if not self._first:
            return None
        return Missing(self.partition, self._first, self.last, self._start, self._end)

    def _gap(self, number: int) -> str:
        if self.low and not self._first:
            return (
                f"{self._topic()} begins at number {number} by now, but the journal's database "
                f"ends at {self.last}: numbers {self.last + 1} to {number - 1} are past their "
                "retention. Restore a newer copy of the database"
            )
        return (
            f"{self._topic()} has number {number} after {self.last}: messages are missing in the "
            "log itself. Restore the broker's data, or a newer copy of the database"
        )

    def _topic(self) -> str:
        return f"{self.settings.topic(LOG.name)} partition {self.partition}"
