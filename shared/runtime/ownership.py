"""Ownership: which partitions are ours, taken over by raising the epoch, with all their inputs."""

import time
from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from shared.runtime import metrics
from shared.runtime.ports import Cursor, Input, Store, Unavailable

TAKE_OVER_SECONDS = 90.0
"""How long a take-over waits for the database: a killed owner's transaction, a fail-over."""
RETRY_SECONDS = 0.5
WATERMARKS_SECONDS = 10.0
FENCED_SECONDS_MAX = 30.0
"""A partition that the group still gives us though another epoch holds it: restart to settle it."""


class PositionLost(Exception):
    """A position is not in the topic: the broker lost data, or retention ran past it."""


class Ownership:
    """The partitions of this worker. Callbacks of the group run inside `poll`; what they raise is
    kept in `failure`, since the client's C code would print and drop it."""

    def __init__(
        self,
        service: str,
        inputs: Sequence[Input],
        store: Store,
        topic: Callable[[str], str],
        log: structlog.stdlib.BoundLogger,
        on_dropped: Callable[[Sequence[int]], None],
    ) -> None:
        self.cursors: dict[int, Cursor] = {}
        self.fresh: list[int] = []
        """Taken over, not yet resent."""
        self.broken: dict[int, str] = {}
        self.joined = False
        self.failure: Exception | None = None
        self._fenced: dict[int, float] = {}
        self._service = service
        self._inputs = inputs
        self._store = store
        self._topic = topic
        self._log = log
        self._on_dropped = on_dropped

    def on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Takes each partition over, then reads all its inputs from the cursor's positions."""
        self.joined = True
        try:
            for partition in sorted({item.partition for item in partitions}):
                self._take(consumer, partition)
        except Exception as error:  # noqa: BLE001  # raised again by `check`, outside of C code
            self.failure = error
        self._report()

    def on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Nothing is in flight when the group calls: the loop polls only between transactions."""
        self._drop(consumer, sorted({item.partition for item in partitions}), "revoked")

    def on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Somebody else may have them by now: drop everything, write nothing."""
        self._drop(consumer, sorted({item.partition for item in partitions}), "lost")

    def fence(self, partitions: Sequence[int]) -> None:
        """Another epoch holds these: forget them until the group assigns them anew."""
        for partition in partitions:
            self._forget(partition)
            self._fenced[partition] = time.monotonic()
            metrics.FENCED.labels(self._service).inc()
            self._log.warning("fenced", partition=partition)
        self._on_dropped(partitions)
        self._report()

    def stop_at_gap(self, consumer: Consumer, partition: int, reason: str) -> None:
        """A broken chain: nothing of this partition is read until a person has looked."""
        self.broken[partition] = reason
        consumer.pause(self._all_inputs(partition))
        self._forget(partition)
        self._on_dropped([partition])
        self._log.error("chain_broken", partition=partition, reason=reason)
        self._report()

    def check(self) -> None:
        """Raises what a callback met, and what only a restart settles."""
        if self.failure is not None:
            raise self.failure
        now = time.monotonic()
        for partition, since in self._fenced.items():
            if now - since > FENCED_SECONDS_MAX:
                raise Unavailable(
                    f"partition {partition} is assigned here, but another worker holds its epoch"
                )

    def _take(self, consumer: Consumer, partition: int) -> None:
        cursor = self._taken_over(partition)
        positions = [self._position(consumer, cursor, item.topic) for item in self._inputs]
        consumer.incremental_assign(positions)
        self._fenced.pop(partition, None)
        self.cursors[partition] = cursor
        self.fresh.append(partition)
        self._log.info(
            "partition_taken", partition=partition, epoch=cursor.epoch, batch=cursor.batch
        )

    def _taken_over(self, partition: int) -> Cursor:
        deadline = time.monotonic() + TAKE_OVER_SECONDS
        while True:
            try:
                return self._store.take_over(partition)
            except Unavailable as error:
                if time.monotonic() > deadline:
                    raise
                self._log.warning("take_over_waits", partition=partition, error=str(error))
                time.sleep(RETRY_SECONDS)

    def _position(self, consumer: Consumer, cursor: Cursor, topic: str) -> TopicPartition:
        name, partition = self._topic(topic), cursor.partition
        offset = cursor.next.get(topic, 0)
        low, high = _ends(consumer, TopicPartition(name, partition))
        wanted = f"{self._service}: the next message of {name} partition {partition} is {offset}"
        if offset > high:
            raise PositionLost(
                f"{wanted}, but the topic ends at {high}: the broker lost messages or is another "
                "cluster's; restore the broker, or reset this service and rebuild it"
            )
        if offset < low:
            raise PositionLost(
                f"{wanted}, but the topic begins at {low}: older messages are past their "
                "retention; they are in the archive"
            )
        return TopicPartition(name, partition, offset or OFFSET_BEGINNING)

    def _drop(self, consumer: Consumer, partitions: Sequence[int], why: str) -> None:
        for partition in partitions:
            self._forget(partition)
            self.broken.pop(partition, None)
            self._fenced.pop(partition, None)
            self._log.info("partition_dropped", partition=partition, why=why)
        # The group knows only of the first input: the siblings are unassigned by hand with it.
        ours = {(item.topic, item.partition) for item in consumer.assignment()}
        gone = [
            item
            for partition in partitions
            for item in self._all_inputs(partition)
            if (item.topic, item.partition) in ours
        ]
        if gone:
            consumer.incremental_unassign(gone)
        self._on_dropped(partitions)
        self._report()

    def _forget(self, partition: int) -> None:
        self.cursors.pop(partition, None)
        if partition in self.fresh:
            self.fresh.remove(partition)

    def _all_inputs(self, partition: int) -> list[TopicPartition]:
        return [TopicPartition(self._topic(item.topic), partition) for item in self._inputs]

    def _report(self) -> None:
        metrics.PARTITIONS.labels(self._service).set(len(self.cursors))
        metrics.BROKEN.labels(self._service).set(len(self.broken))


def _ends(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """First and next offset of a partition; a broker that is just starting is asked again."""
    deadline = time.monotonic() + TAKE_OVER_SECONDS
    while True:
        try:
            return consumer.get_watermark_offsets(place, timeout=WATERMARKS_SECONDS)
        except KafkaException as error:
            if error.args[0].fatal() or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS / 5)
