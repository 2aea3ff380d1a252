"""Announcing: what is committed goes out in order, acknowledged before the next batch."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as KafkaMessage

from shared.contracts.topics import dead
from shared.runtime import metrics
from shared.runtime.messages import bytes_headers
from shared.runtime.ports import Dead, Outgoing

POLL_SECONDS = 0.05
QUEUE_FULL_SECONDS = 0.1
REASON_CHARACTERS_MAX = 500


class AnnounceFailed(Exception):
    """The broker did not take a message in time; the process exits, its restart resends."""


class Announcer:
    """Counts what is under way on one producer. `topic` adds the namespace to a name."""

    def __init__(self, service: str, producer: Producer, topic: Callable[[str], str]) -> None:
        self._service = service
        self._producer = producer
        self._topic = topic
        self._under_way = 0
        self._failure: KafkaError | None = None

    def announce(self, messages: Iterable[Outgoing]) -> int:
        """Hands messages to the producer, in order; returns how many."""
        counts: Counter[str] = Counter()
        for message in messages:
            self._produce(message)
            counts[message.topic] += 1
        self._producer.poll(0)
        for topic, count in counts.items():
            metrics.ANNOUNCED.labels(self._service, topic).inc(count)
        return counts.total()

    def wait(self, timeout_seconds: float) -> None:
        """Until all that was announced is acknowledged. Raises `AnnounceFailed`."""
        deadline = time.monotonic() + timeout_seconds
        self._producer.poll(0)
        while self._under_way and self._failure is None:
            if time.monotonic() > deadline:
                raise AnnounceFailed(
                    f"{self._under_way} messages not acknowledged in {timeout_seconds} s"
                )
            self._producer.poll(POLL_SECONDS)
        if self._failure is not None:
            raise AnnounceFailed(str(self._failure))

    def bury(self, letters: Sequence[Dead], timeout_seconds: float) -> None:
        """Dead letters, acknowledged before this returns: the position moves past them next."""
        self.announce(_letter(self._service, letter) for letter in letters)
        if letters:
            self.wait(timeout_seconds)

    def _produce(self, message: Outgoing) -> None:
        while True:
            try:
                self._producer.produce(
                    self._topic(message.topic),
                    value=message.value,
                    key=message.key,
                    partition=-1 if message.partition is None else message.partition,
                    headers=list(message.headers),
                    on_delivery=self._delivered,
                )
            except BufferError:  # the queue is full: let some go out first
                self._producer.poll(QUEUE_FULL_SECONDS)
                if self._failure is not None:
                    raise AnnounceFailed(str(self._failure)) from None
            else:
                self._under_way += 1
                return

    def _delivered(self, error: KafkaError | None, _message: KafkaMessage) -> None:
        self._under_way -= 1
        if error is not None and self._failure is None:
            self._failure = error


def _letter(service: str, letter: Dead) -> Outgoing:
    """The original bytes and headers, with why and where from beside them."""
    source = letter.message
    headers = bytes_headers(
        {
            **source.headers,
            "dead_service": service,
            "dead_reason": letter.reason[:REASON_CHARACTERS_MAX],
            "dead_topic": source.topic,
            "dead_partition": str(source.partition),
            "dead_offset": str(source.offset),
        }
    )
    return Outgoing(dead(source.topic), source.key, source.value, headers, source.partition)
