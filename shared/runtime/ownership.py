"""Ownership: which partitions are ours, taken over by raising the epoch, with all their inputs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from shared.runtime import metrics
from shared.runtime.handover import HandOver
from shared.runtime.ports import Cursor, Input, Stopped, Store, Unavailable

TAKE_OVER_SECONDS = 90.0
"""How long a take-over waits for the database: a killed owner's transaction, a fail-over."""
RETRY_SECONDS = 0.5
WATERMARKS_SECONDS = 10.0
FENCED_SECONDS_MAX = 30.0
"""A partition that the group still gives us though another epoch holds it: restart to settle it."""
LENT_SECONDS_MAX = 120.0
"""The same while a rebuild holds it, which gives it back when it has switched."""
LENT_TO = "rebuild"
"""How the workers' names begin that give partitions back."""
LOOK_SECONDS = 1.0
"""How often it is asked whether a fenced partition was given back."""

_BEHIND_THE_END = (
    "the broker lost messages, or LAUREL_KAFKA_SERVERS names another one than before. Give the "
    "broker its data back and start again; `laurel topics` shows what it has. Nothing that was "
    "decided is lost: that is in MongoDB"
)
_PAST_RETENTION = (
    "what lies between was never taken in, is past its retention, and is nowhere else. Whoever "
    "sent events in that time must send them again (those taken in are repeats and change "
    "nothing); `laurel recover journal --accept-lost-inbox` lets the journal go on without them"
)


class PositionLost(Stopped):
    """A position is not in the topic: the broker lost data, or retention ran past it."""


@dataclass(slots=True)
class _Fenced:
    since: float
    holder: str = ""


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
        hand_over: HandOver,
    ) -> None:
        self.cursors: dict[int, Cursor] = {}
        self.fresh: list[int] = []
        """Taken over, not yet resent."""
        self.broken: dict[int, str] = {}
        self.joined = False
        self.failure: Exception | None = None
        self._fenced: dict[int, _Fenced] = {}
        self._looked_at = 0.0
        self._service = service
        self._inputs = inputs
        self._store = store
        self._topic = topic
        self._names = {topic(item.topic): item.topic for item in inputs}
        self._log = log
        self._on_dropped = on_dropped
        self._hand_over = hand_over

    def on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Takes each partition over, then reads all its inputs from the cursor's positions."""
        self.joined = True
        try:
            self._take(consumer, sorted({item.partition for item in partitions}))
        except Exception as error:  # noqa: BLE001  # raised again by `check`, outside of C code
            self.failure = error
        self._report()

    def on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Nothing is in flight when the group calls: the loop polls only between transactions."""
        self._drop(consumer, sorted({item.partition for item in partitions}), "revoked")

    def on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Somebody else may have them by now: drop everything, write nothing."""
        self._drop(consumer, sorted({item.partition for item in partitions}), "lost")

    def fence(self, consumer: Consumer, partitions: Sequence[int]) -> None:
        """Another epoch holds these: forget them until they are given back or assigned anew."""
        lost = [partition for partition in partitions if partition in self.cursors]
        for partition in lost:
            self._forget(partition)
            self._fenced[partition] = _Fenced(time.monotonic())
            metrics.FENCED.labels(self._service).inc()
            self._log.warning("fenced", partition=partition)
        consumer.pause(self._assigned(consumer, lost))
        self._looked_at = 0.0
        self._on_dropped(partitions)
        self._report()

    def take_back(self, consumer: Consumer) -> list[int]:
        """Takes over again what was fenced and has been given back since, from its cursor's
        positions; returns those partitions: what was polled of them before is void."""
        if not self._fenced or time.monotonic() - self._looked_at < LOOK_SECONDS:
            return []
        self._looked_at = time.monotonic()
        try:
            holders = self._store.holders(self._fenced)
        except Unavailable:
            return []  # asked again soon; how long, `check` says
        for partition, holder in holders.items():
            self._fenced[partition].holder = holder
        free = sorted(partition for partition, holder in holders.items() if not holder)
        if free:
            consumer.incremental_unassign(self._assigned(consumer, free))
            self._take(consumer, free)
            self._report()
        return free

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
        for partition, fenced in self._fenced.items():
            lent = fenced.holder.startswith(LENT_TO)
            if now - fenced.since > (LENT_SECONDS_MAX if lent else FENCED_SECONDS_MAX):
                raise Unavailable(
                    f"partition {partition} is assigned here, but worker {fenced.holder!r} holds "
                    "its epoch"
                )

    def resume(self, consumer: Consumer) -> None:
        """Reads on after a pause: all but broken chains, what is fenced, and what the archive has
        to give first."""
        consumer.resume([place for place in consumer.assignment() if self._may_read(place)])

    def handed_over(self, consumer: Consumer, topic: str, partition: int) -> None:
        """The archive is read to its end: Kafka goes on from the first message it still has."""
        place = TopicPartition(self._topic(topic), partition)
        low, _ = _ends(consumer, place)
        consumer.incremental_unassign([place])
        self._assign(consumer, [TopicPartition(place.topic, partition, low)])
        cursor = self.cursors[partition]
        self.cursors[partition] = replace(cursor, next={**cursor.next, topic: low})

    def _take(self, consumer: Consumer, partitions: Sequence[int]) -> None:
        places: list[TopicPartition] = []
        for partition in partitions:
            cursor = self._taken_over(partition)
            self._fenced.pop(partition, None)
            places += [self._position(consumer, cursor, item) for item in self._inputs]
            self.cursors[partition] = cursor
            self.fresh.append(partition)
            self._log.info(
                "partition_taken", partition=partition, epoch=cursor.epoch, batch=cursor.batch
            )
        # All at once: the question where a topic ends would wait for a fetch under way (50 ms).
        self._assign(consumer, places)

    def _assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.incremental_assign(places)
        # A pause outlives the assignment that it was made in.
        consumer.resume([place for place in places if self._may_read(place)])
        consumer.pause([place for place in places if not self._may_read(place)])

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

    def _position(self, consumer: Consumer, cursor: Cursor, source: Input) -> TopicPartition:
        name, partition = self._topic(source.topic), cursor.partition
        offset = cursor.next.get(source.topic, 0)
        low, high = _ends(consumer, TopicPartition(name, partition))
        wanted = f"{self._service}: the next message of {name} partition {partition} is {offset}"
        if offset > high:
            raise PositionLost(f"{wanted}, but the topic ends at {high}: {_BEHIND_THE_END}")
        if offset >= low:
            return TopicPartition(name, partition, offset or OFFSET_BEGINNING)
        if source.link is None:
            raise PositionLost(f"{wanted}, but the topic begins at {low}: {_PAST_RETENTION}")
        self._hand_over.begin(source.topic, partition)
        return TopicPartition(name, partition, low)

    def _drop(self, consumer: Consumer, partitions: Sequence[int], why: str) -> None:
        for partition in partitions:
            self._forget(partition)
            self.broken.pop(partition, None)
            self._fenced.pop(partition, None)
            self._log.info("partition_dropped", partition=partition, why=why)
        # The group knows only of the first input: the siblings are unassigned by hand with it.
        if gone := self._assigned(consumer, partitions):
            consumer.incremental_unassign(gone)
        self._on_dropped(partitions)
        self._report()

    def _forget(self, partition: int) -> None:
        self.cursors.pop(partition, None)
        self._hand_over.forget(partition)
        if partition in self.fresh:
            self.fresh.remove(partition)

    def _may_read(self, place: TopicPartition) -> bool:
        partition = place.partition
        stopped = partition in self.broken or partition in self._fenced
        return not (stopped or self._hand_over.holds(self._names[place.topic], partition))

    def _assigned(self, consumer: Consumer, partitions: Sequence[int]) -> list[TopicPartition]:
        """All inputs of these partitions, as far as they are assigned."""
        ours = {(item.topic, item.partition) for item in consumer.assignment()}
        return [
            item
            for partition in partitions
            for item in self._all_inputs(partition)
            if (item.topic, item.partition) in ours
        ]

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
