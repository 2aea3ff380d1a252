"""An in-memory broker with the part of the client's interface that the projector uses.

It runs behind the same suite as the real one (`tests/shared/test_projector.py`).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from confluent_kafka import TIMESTAMP_CREATE_TIME, KafkaError, TopicPartition

Callback = Callable[["FakeConsumer", list[TopicPartition]], None]


@dataclass(frozen=True, slots=True)
class FakeMessage:
    """What `poll` hands over."""

    _topic: str
    _partition: int
    _offset: int
    _key: bytes | None
    _value: bytes | None
    _headers: list[tuple[str, bytes]]
    _at_ms: int = 0

    def error(self) -> None:
        """Never: the fake has no failing fetches."""

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_CREATE_TIME, self._at_ms

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> list[tuple[str, bytes]]:
        return self._headers


@dataclass
class FakeBroker:
    """Topics as lists; one group per name, its members sharing partitions evenly."""

    partitions: int
    logs: dict[tuple[str, int], list[FakeMessage]] = field(default_factory=dict)
    members: dict[str, list["FakeConsumer"]] = field(default_factory=dict)
    lows: dict[tuple[str, int], int] = field(default_factory=dict)
    """Where a log begins, once retention has run."""

    def log(self, topic: str, partition: int) -> list[FakeMessage]:
        """The messages of one partition."""
        return self.logs.setdefault((topic, partition), [])

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> None:
        """Writes a message at the end."""
        log = self.log(topic, partition)
        at_ms = time.time_ns() // 1_000_000
        log.append(FakeMessage(topic, partition, len(log), key, value, list(headers), at_ms))

    def rebalance(self, group: str) -> None:
        """Shares the partitions anew; members learn it in their next poll."""
        members = self.members[group]
        for index, member in enumerate(members):
            member.wanted = {p for p in range(self.partitions) if p % len(members) == index}

    def lose(self, member: "FakeConsumer") -> None:
        """The group drops a member that it has not heard of; the member does not know yet."""
        self.members[member.group].remove(member)
        member.lost = True
        if self.members[member.group]:
            self.rebalance(member.group)


class FakeConsumer:
    """A member of a group. Positions and pauses are its own."""

    def __init__(self, broker: FakeBroker, group: str) -> None:
        self.broker = broker
        self.group = group
        self.wanted: set[int] = set()
        self.lost = False
        self._have: set[int] = set()
        self._positions: dict[tuple[str, int], int] = {}
        self._paused: set[tuple[str, int]] = set()
        self._topic = ""
        self._callbacks: tuple[Callback, Callback, Callback] | None = None

    def subscribe(
        self, topics: list[str], on_assign: Callback, on_revoke: Callback, on_lost: Callback
    ) -> None:
        self._topic = topics[0]
        self._callbacks = (on_assign, on_revoke, on_lost)
        self.broker.members.setdefault(self.group, []).append(self)
        self.broker.rebalance(self.group)

    def poll(self, timeout: float = 0) -> FakeMessage | None:
        found = self.consume(1, timeout)
        return found[0] if found else None

    def consume(self, num_messages: int = 1, timeout: float = 0) -> list[FakeMessage]:
        self._settle()
        found: list[FakeMessage] = []
        for (topic, partition), position in sorted(self._positions.items()):
            if (topic, partition) in self._paused:
                continue
            low = self.broker.lows.get((topic, partition), 0)
            assert position >= low, "the position is no longer in the topic"
            fetched = self.broker.log(topic, partition)[position:][: num_messages - len(found)]
            self._positions[topic, partition] = position + len(fetched)
            found.extend(fetched)
        return found

    def _settle(self) -> None:
        assert self._callbacks is not None
        on_assign, on_revoke, on_lost = self._callbacks
        gone, come = sorted(self._have - self.wanted), sorted(self.wanted - self._have)
        if self.lost and self._have:
            gone, come, on_revoke = sorted(self._have), [], on_lost
            self.wanted = set()
        if gone:
            self._have -= set(gone)
            on_revoke(self, [TopicPartition(self._topic, p) for p in gone])
        if come:
            self._have |= set(come)
            on_assign(self, [TopicPartition(self._topic, p) for p in come])

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        for item in partitions:
            low = self.broker.lows.get((item.topic, item.partition), 0)
            self._positions[item.topic, item.partition] = item.offset if item.offset >= 0 else low

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        for item in partitions:
            del self._positions[item.topic, item.partition]  # a pause stays, as in the real client

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(topic, partition) for topic, partition in self._positions]

    def pause(self, partitions: list[TopicPartition]) -> None:
        self._paused |= {(item.topic, item.partition) for item in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        self._paused -= {(item.topic, item.partition) for item in partitions}

    def get_watermark_offsets(
        self,
        partition: TopicPartition,
        timeout: float = 0,
        cached: bool = False,  # noqa: FBT002
    ) -> tuple[int, int]:
        place = (partition.topic, partition.partition)
        return self.broker.lows.get(place, 0), len(self.broker.log(*place))

    def close(self) -> None:
        if self in self.broker.members.get(self.group, ()):
            self.broker.members[self.group].remove(self)
            if self.broker.members[self.group]:
                self.broker.rebalance(self.group)


class FakeProducer:
    """Acknowledges at the next poll."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self._waiting: list[Callable[[KafkaError | None, FakeMessage | None], None]] = []

    def produce(
        self,
        topic: str,
        value: bytes,
        key: bytes,
        partition: int,
        headers: list[tuple[str, bytes]],
        on_delivery: Callable[[KafkaError | None, FakeMessage | None], None],
    ) -> None:
        self._broker.append(topic, max(0, partition), key, value, headers)
        self._waiting.append(on_delivery)

    def poll(self, timeout: float = 0) -> int:
        waiting, self._waiting = self._waiting, []
        for delivered in waiting:
            delivered(None, None)
        return len(waiting)
