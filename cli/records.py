"""Messages read from Kafka by their places: a bounded look, without a group, with a deadline."""

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from cli.positions import BROKER_TIMEOUT_MS
from shared.runtime.settings import Settings

FETCH_BYTES = 256 * 1024
"""Of one partition at a time; the broker hands over one message even where it is larger."""
MESSAGES_AT_A_TIME = 500
POLL_SECONDS = 0.2


class Span(NamedTuple):
    """Messages of one partition, from offset `start` to before `end`, and no more than `most`.

    `topic` is Kafka's name, with the namespace.
    """

    topic: str
    partition: int
    start: int
    end: int
    most: int


class RecordsMissing(Exception):
    """The broker did not hand over in time what was asked for."""


class Records:
    """One consumer for all that a command looks at. It commits nothing and joins no group."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka_servers,
                "group.id": settings.topic("operator"),  # the client wants one; nobody joins it
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",  # retention may pass a place that was just asked
                "fetch.message.max.bytes": FETCH_BYTES,
                "fetch.wait.max.ms": 50,
                "socket.timeout.ms": BROKER_TIMEOUT_MS,
                "log_level": 0,  # what is wrong is said in our own words
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def read(self, spans: Iterable[Span], seconds: float) -> Iterator[tuple[Span, Message]]:
        """Each message with its span, in order within one. What retention took is left out.

        Raises `RecordsMissing` when `seconds` have passed before the last one, `KafkaException`.
        """
        deadline = time.monotonic() + seconds
        for together in _rounds(spans):
            try:
                yield from self._read(together, deadline)
            finally:
                self._consumer.unassign()

    def _read(
        self, spans: dict[tuple[str, int], Span], deadline: float
    ) -> Iterator[tuple[Span, Message]]:
        left = {place: span.most for place, span in spans.items()}
        self._consumer.assign([TopicPartition(*place, spans[place].start) for place in left])
        while left:
            if time.monotonic() > deadline:
                raise RecordsMissing(f"{len(left)} partitions did not answer in time")
            for message in self._consumer.consume(MESSAGES_AT_A_TIME, POLL_SECONDS):
                place = (message.topic() or "", message.partition() or 0)
                if place not in left:
                    continue
                if _wanted(message, spans[place]):
                    yield spans[place], message
                    left[place] -= 1
                if not left[place] or _is_last(message, spans[place]):
                    del left[place]
                    self._consumer.incremental_unassign([TopicPartition(*place)])


def _wanted(message: Message, span: Span) -> bool:
    error = message.error()
    if error is None:
        return (message.offset() or 0) < span.end
    if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  # its name
        raise KafkaException(error)
    return False


def _is_last(message: Message, span: Span) -> bool:
    return message.error() is not None or (message.offset() or 0) + 1 >= span.end


def _rounds(spans: Iterable[Span]) -> Iterator[dict[tuple[str, int], Span]]:
    """A consumer stands at one place of a partition: the second span of one waits for the first."""
    waiting = [span for span in spans if span.most > 0 and span.start < span.end]
    while waiting:
        together: dict[tuple[str, int], Span] = {}
        later = []
        for span in waiting:
            if (span.topic, span.partition) in together:
                later.append(span)
            else:
                together[span.topic, span.partition] = span
        yield together
        waiting = later


def at_ms(message: Message) -> int:
    """Kafka's record timestamp."""
    return message.timestamp()[1]
