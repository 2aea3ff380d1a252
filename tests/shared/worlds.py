"""The two worlds that the projector is tested in: one in memory, one of real servers."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

import structlog
from bson.binary import Binary
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient
from pymongo import MongoClient

from shared.contracts.batches import batch_id
from shared.contracts.decisions import number
from shared.contracts.identity import dedupe_key
from shared.runtime.announcing import Announcer
from shared.runtime.archive import Archive
from shared.runtime.faults import Reached, nothing
from shared.runtime.kafka import consumer_settings, producer_settings
from shared.runtime.messages import LOG_INPUT, bytes_headers, text_headers
from shared.runtime.mongo import MongoStore, open_client, store_errors
from shared.runtime.ports import ARCHIVED, Cursor, Document, Input, Message, Store
from shared.runtime.projector import Projection, Projector
from shared.runtime.settings import Settings
from tests.fakes.broker import FakeBroker, FakeConsumer, FakeProducer
from tests.fakes.store import FakeDatabase, FakeStore
from tests.shared.counting import FACTS, LINEAGE, Counting, Stored

LOG = "events.log"
WAIT_SECONDS = 30.0
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class World(Protocol):
    """What a scenario needs: something to read, workers, and a look at what they made."""

    partitions: int

    def send(
        self, topic: str, partition: int, headers: dict[str, str] | None, value: bytes
    ) -> None: ...

    def worker(
        self,
        name: str = "0",
        reached: Reached = nothing,
        inputs: tuple[Input, ...] = (LOG_INPUT,),
        wrap: Callable[[Store], Store] = lambda store: store,
    ) -> Any: ...

    def read(self, topic: str) -> list[tuple[dict[str, str], bytes]]: ...

    def documents(self, collection: str) -> list[Document]: ...

    def cursor(self, partition: int) -> Cursor: ...

    def lose(self, worker: Projector) -> None: ...

    def delete_before(self, topic: str, partition: int, offset: int) -> None: ...

    def keep_log(self, partition: int, seqs: Sequence[int]) -> None: ...

    def keep_facts(self, service: str, partition: int, numbers: Sequence[int]) -> None: ...

    def another(self, name: str) -> Any: ...


def log_headers(seq: int, customer: str, lineage: str = LINEAGE) -> dict[str, str]:
    return {"seq": str(seq), "lineage": lineage, "customer": customer}


def feed(world: World, count: int, start: int = 1, partitions: Iterable[int] = (0, 1)) -> None:
    """`count` messages of one point in each partition, from number `start`, to 3 customers."""
    for partition, seq in itertools.product(partitions, range(start, start + count)):
        world.send(LOG, partition, log_headers(seq, customer_of(partition, seq)), b"1")


def customer_of(partition: int, seq: int) -> str:
    """Three customers in each partition."""
    return f"c{partition}-{seq % 3}"


def keep(world: World, count: int, start: int = 1, partitions: Iterable[int] = (0, 1)) -> None:
    """What `feed` sends, as the archive has it."""
    for partition in partitions:
        world.keep_log(partition, range(start, start + count))


def turn_until(worker: Projector, reached: Callable[[], bool]) -> None:
    """Turns the loop until something is so; fails after a deadline."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not reached():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        worker.turn()


def caught_up(world: World, count: int, partitions: Iterable[int] = (0, 1)) -> Callable[[], bool]:
    return lambda: all(world.cursor(p).seen.get(LOG, 0) >= count for p in partitions)


@dataclass
class FakeArchive:
    """Messages by topic, partition and number."""

    kept: dict[tuple[str, int], dict[int, Message]] = field(default_factory=dict)

    def keep(
        self, topic: str, partition: int, place: int, headers: dict[str, str], value: bytes
    ) -> None:
        message = Message(topic, partition, ARCHIVED, b"", value, headers)
        self.kept.setdefault((topic, partition), {})[place] = message

    def after(self, topic: str, partition: int, number: int, limit: int) -> list[Message]:
        kept = self.kept.get((topic, partition), {})
        return [kept[each] for each in sorted(kept) if each > number][:limit]


@dataclass
class MemoryWorld:
    """Everything in lists and dicts."""

    partitions: int = 2
    broker: FakeBroker = field(default_factory=lambda: FakeBroker(2))
    database: FakeDatabase = field(default_factory=FakeDatabase)
    consumers: dict[int, FakeConsumer] = field(default_factory=dict)
    archive: FakeArchive = field(default_factory=FakeArchive)

    def send(
        self, topic: str, partition: int, headers: dict[str, str] | None, value: bytes
    ) -> None:
        self.broker.append(topic, partition, None, value, bytes_headers(headers or {}))

    @contextmanager
    def worker(
        self,
        name: str = "0",
        reached: Reached = nothing,
        inputs: tuple[Input, ...] = (LOG_INPUT,),
        wrap: Callable[[Store], Store] = lambda store: store,
    ) -> Iterator[Projector]:
        consumer = FakeConsumer(self.broker, "counting")
        store = wrap(FakeStore(self.database, name))
        announcer = Announcer("counting", FakeProducer(self.broker), str)  # type: ignore[arg-type]
        projection = Projection("counting", inputs, str, self.archive)
        projector = _projector(
            projection, store, consumer, announcer, reached, _InMemory(self.database)
        )
        self.consumers[id(projector)] = consumer
        projector.join()
        yield projector
        consumer.close()

    def read(self, topic: str) -> list[tuple[dict[str, str], bytes]]:
        messages = (m for p in range(self.partitions) for m in self.broker.log(topic, p))
        return [(text_headers(m.headers()), m.value() or b"") for m in messages]

    def documents(self, collection: str) -> list[Document]:
        return list(self.database.collections.get(collection, {}).values())

    def cursor(self, partition: int) -> Cursor:
        return self.database.cursors.get(partition, Cursor(partition, 0))

    def lose(self, worker: Projector) -> None:
        self.broker.lose(self.consumers[id(worker)])

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        self.broker.lows[topic, partition] = offset

    def keep_log(self, partition: int, seqs: Sequence[int]) -> None:
        for seq in seqs:
            headers = log_headers(seq, customer_of(partition, seq))
            self.archive.keep(LOG, partition, seq, headers, b"1")

    def keep_facts(self, service: str, partition: int, numbers: Sequence[int]) -> None:
        for previous, decision in itertools.pairwise([0, *numbers]):
            headers = facts_headers(partition, decision, previous)
            self.archive.keep(f"{service}.facts", partition, decision, headers, FIVE_POINTS)

    @contextmanager
    def another(self, name: str) -> Iterator[FakeStore]:
        yield FakeStore(self.database, name)


FIVE_POINTS = b'{"facts":[],"points":5}'


def facts_headers(partition: int, decision: int, previous: int) -> dict[str, str]:
    """Of facts whose value is `FIVE_POINTS`."""
    seq = decision >> 16 & (1 << 37) - 1
    numbers = {"decision": str(decision), "previous": str(previous)}
    return log_headers(seq, customer_of(partition, seq)) | numbers


class _InMemory(Stored):
    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    def totals(self, customers: Iterable[str]) -> list[Document]:
        states = self._database.collections.get("states", {})
        return [dict(states[customer]) for customer in customers if customer in states]

    def after(self, cursor: Cursor) -> list[Document]:
        found = self._database.collections.get("decisions", {})
        first, end = behind(cursor)
        return [found[key] for key in sorted(found) if first < key < end]


class _InMongo(Stored):
    def __init__(self, database: Any) -> None:
        self._database = database

    def totals(self, customers: Iterable[str]) -> list[Document]:
        with store_errors():
            return list(self._database.states.find({"_id": {"$in": sorted(customers)}}))

    def after(self, cursor: Cursor) -> list[Document]:
        first, end = behind(cursor)
        with store_errors():
            return list(
                self._database.decisions.find({"_id": {"$gt": first, "$lt": end}}).sort("_id")
            )


def behind(cursor: Cursor) -> tuple[int, int]:
    """The numbers of a partition's decisions that are not known to be announced."""
    return max(cursor.announced, number(cursor.partition, 0)), number(cursor.partition + 1, 0)


class ServerWorld:
    """Kafka and MongoDB. A worker that `lose` names stops polling until its session has ended."""

    partitions = 2

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client: MongoClient[Document] = open_client(settings)
        self._producer = Producer(producer_settings(settings, "suite"))
        self._consumers: dict[int, Consumer] = {}

    def close(self) -> None:
        self._producer.close()
        self._client.close()

    def send(
        self, topic: str, partition: int, headers: dict[str, str] | None, value: bytes
    ) -> None:
        self._producer.produce(
            self.settings.topic(topic),
            value,
            partition=partition,
            headers=[*bytes_headers(headers or {})],
        )
        self._producer.poll(0)

    @contextmanager
    def worker(
        self,
        name: str = "0",
        reached: Reached = nothing,
        inputs: tuple[Input, ...] = (LOG_INPUT,),
        wrap: Callable[[Store], Store] = lambda store: store,
    ) -> Iterator[Projector]:
        self._producer.flush(WAIT_SECONDS)
        settings = self.settings.model_copy(update={"worker": name})
        with ExitStack() as stack:
            client = stack.enter_context(open_client(settings))
            store = MongoStore(client, settings, "counting", [item.topic for item in inputs])
            stack.callback(store.close)
            consumer = Consumer(consumer_settings(settings, "counting"))
            stack.callback(consumer.close)
            producer = Producer(producer_settings(settings, f"counting-{name}"))
            stack.callback(producer.close)
            archive = Archive(client, settings)
            projection = Projection("counting", inputs, settings.topic, archive)
            announcer = Announcer("counting", producer, settings.topic)
            stored = _InMongo(client[settings.database("counting")])
            projector = _projector(projection, wrap(store), consumer, announcer, reached, stored)
            projector.join()
            yield projector

    def read(self, topic: str) -> list[tuple[dict[str, str], bytes]]:
        consumer = Consumer(
            {"bootstrap.servers": self.settings.kafka_servers, "group.id": uuid4().hex}
        )
        # All ends are asked for before anything is fetched: behind a fetch, each takes 0.5 s.
        places = [
            TopicPartition(self.settings.topic(topic), partition)
            for partition in range(self.settings.partitions)
        ]
        ends = {place.partition: consumer.get_watermark_offsets(place, 10) for place in places}
        for place in places:
            place.offset = ends[place.partition][0]
        consumer.assign(places)
        left = sum(high - low for low, high in ends.values())
        found = []
        while left and (message := consumer.poll(10)) is not None:
            found.append(message)
            left -= 1
        consumer.close()
        found.sort(key=lambda message: (message.partition() or 0, message.offset() or 0))
        return [(text_headers(each.headers()), _value(each)) for each in found]

    def documents(self, collection: str) -> list[Document]:
        return list(self._client[self.settings.database("counting")][collection].find().sort("_id"))

    def cursor(self, partition: int) -> Cursor:
        store = MongoStore(self._client, self.settings, "counting", [LOG, "customers.facts"])
        found = self._client[self.settings.database("counting")].cursors.find_one(
            {"_id": partition}
        )
        store.close()
        return store._cursor(found) if found else Cursor(partition, 0)

    def lose(self, worker: Projector) -> None:
        """Static members keep their partitions for the session: others wait for its end."""

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        self._producer.flush(WAIT_SECONDS)
        admin = AdminClient({"bootstrap.servers": self.settings.kafka_servers})
        place = TopicPartition(self.settings.topic(topic), partition, offset)
        admin.delete_records([place])[place].result(WAIT_SECONDS)

    def keep_log(self, partition: int, seqs: Sequence[int]) -> None:
        """In batches of three, so that what is read at once ends in the middle of one."""
        journal = self._client[self.settings.database("journal")]
        journal.log.update_one({"_id": "log"}, {"$set": {"lineage": LINEAGE}}, upsert=True)
        events = [_event(partition, seq) for seq in seqs]
        journal.events.insert_many(events)
        for first in range(0, len(events), 3):
            batch = events[first : first + 3]
            keys = [event["_id"] for event in batch]
            journal.batches.insert_one(
                {"_id": batch_id(partition, batch[0]["seq"]), "count": len(batch), "keys": keys}
            )

    def keep_facts(self, service: str, partition: int, numbers: Sequence[int]) -> None:
        journal = self._client[self.settings.database("journal")]
        journal.log.update_one({"_id": "log"}, {"$set": {"lineage": LINEAGE}}, upsert=True)
        decisions = [
            _decision(partition, decision, previous)
            for previous, decision in itertools.pairwise([0, *numbers])
        ]
        self._client[self.settings.database(service)].decisions.insert_many(decisions)

    @contextmanager
    def another(self, name: str) -> Iterator[MongoStore]:
        settings = self.settings.model_copy(update={"worker": name})
        with open_client(settings) as client:
            store = MongoStore(client, settings, "counting", [LOG])
            yield store
            store.close()


def _value(message: KafkaMessage) -> bytes:
    value = message.value() or b""
    assert isinstance(value, bytes)
    return value


def _event(partition: int, seq: int) -> Document:
    """What the journal stores of what `feed` sends."""
    name = f"e-{partition}-{seq}"
    return {
        "_id": Binary(dedupe_key("t", name)),
        "id": name,
        "tenant": "t",
        "customer": customer_of(partition, seq),
        "action": "point_add",
        "partition": partition,
        "seq": seq,
        "at": NOON,
        "time": NOON,
        "program": 1,
        "content": "",
        "source": "gateway",
        "hops": 0,
        "body": "1",
    }


def _decision(partition: int, decision: int, previous: int) -> Document:
    """What an owner stores of facts whose value is `FIVE_POINTS`."""
    headers = facts_headers(partition, decision, previous)
    return {
        "_id": decision,
        "previous": previous,
        "event": f"e-{decision}",
        "tenant": "t",
        "customer": headers["customer"],
        "action": "point_add",
        "at": NOON,
        "time": NOON,
        "program": 1,
        "outcome": "accepted",
        "facts": [],
        "result": {"points": 5},
    }


def _projector(
    projection: Projection,
    store: Store,
    consumer: Any,
    announcer: Announcer,
    reached: Reached,
    stored: Stored,
) -> Projector:
    log = structlog.get_logger()
    return Projector(projection, Counting(stored), store, consumer, announcer, log, reached)


__all__ = [
    "FACTS", "LOG", "MemoryWorld", "ServerWorld", "World", "caught_up", "feed", "keep",
    "log_headers", "turn_until",
]  # fmt: skip
