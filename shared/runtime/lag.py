"""Lag: how many messages a worker has still to take in, and how long the oldest has waited."""

import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, TopicPartition

from shared.runtime import metrics
from shared.runtime.ports import Cursor, Input

LAG_EVERY_SECONDS = 2.0

Place = tuple[str, int]
"""Topic without the namespace, partition."""


class Lag:
    """Sets the two lag gauges, every `LAG_EVERY_SECONDS`, from what this process knows anyway.

    Messages: the topic's end as the last fetch told it, less the cursor's position. Seconds: an
    upper bound of the age of the oldest message not taken in; 0 where none waits. Nobody looks at
    that message, but it is younger than the last one taken and than the moment when none waited:
    its age is counted from the later of the two. So it is too high by at most the pause between
    the last one taken and it, and after a quiet time by `LAG_EVERY_SECONDS`. A worker that finds a
    backlog at its start counts from there until its first message is taken. Ages are by Kafka's
    record timestamps, the clock of who produced; while the broker is away, its last word counts.
    """

    def __init__(
        self,
        service: str,
        inputs: Iterable[Input],
        consumer: Consumer,
        topic: Callable[[str], str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._topics = [item.topic for item in inputs]
        self._consumer = consumer
        self._topic = topic
        self._now = now
        self._reported_at = 0.0
        self._read: dict[Place, int] = {}
        """Record timestamp of the last message polled, in milliseconds."""
        self._since: dict[Place, float] = {}
        """What waits is younger than this, in seconds."""
        self._met: dict[Place, float] = {}
        """When a backlog was first seen; counts only while nothing better is known."""

    def read(self, topic: str, partition: int, timestamp_ms: int) -> None:
        """A message was polled; it counts as taken from the next `turned` on."""
        self._read[topic, partition] = timestamp_ms

    def turned(self, cursors: Mapping[int, Cursor]) -> None:
        """All that was polled is committed, or no longer ours."""
        for place, timestamp_ms in self._read.items():
            self._since[place] = max(self._since.get(place, 0.0), timestamp_ms / 1000)
        self._read.clear()
        self.waiting(cursors)

    def waiting(self, cursors: Mapping[int, Cursor]) -> None:
        """Reports, where it is time to; what was polled meanwhile is still to be committed."""
        if time.monotonic() - self._reported_at < LAG_EVERY_SECONDS:
            return
        self._reported_at = time.monotonic()
        # Of a partition that was away, somebody else took the messages since.
        for known in (self._since, self._met):
            for place in [place for place in known if place[1] not in cursors]:
                del known[place]
        now = self._now()
        for topic in self._topics:
            found = [self._of(topic, cursor, now) for cursor in cursors.values()]
            labels = (self._service, topic)
            metrics.LAG.labels(*labels).set(sum(messages for messages, _ in found))
            metrics.LAG_SECONDS.labels(*labels).set(max((age for _, age in found), default=0.0))

    def _of(self, topic: str, cursor: Cursor, now: float) -> tuple[int, float]:
        place = (topic, cursor.partition)
        _, end = self._consumer.get_watermark_offsets(
            TopicPartition(self._topic(topic), cursor.partition), cached=True
        )
        if end < 0:  # nothing was fetched yet: whether something waits is not known
            return 0, 0.0
        messages = max(0, end - cursor.next.get(topic, 0))
        if not messages:
            self._since[place] = now
        since = self._since.get(place) or self._met.setdefault(place, now)
        return messages, max(0.0, now - since)
