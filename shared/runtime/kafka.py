"""Kafka as the projectors use it: topics, the consumer's and the producer's settings."""

import time
from collections.abc import Iterator, Mapping

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from shared.contracts.topics import TOPICS
from shared.runtime.settings import Settings

PARTITIONER = "murmur2_random"
"""One partitioner for every client: the same customer is in the same partition of every topic."""

SESSION_MS = 10_000
HEARTBEAT_MS = 1_000
"""A join stalls the others for one heartbeat: 1 s, measured (foundations, Groups)."""
NO_TIMEOUT = 0
"""A message that times out may be followed by one that does not: a hole in the topic. So none times
out; the projector gives up as a whole (`ACKNOWLEDGED_SECONDS`), and its restart sends all again."""
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
"""An event's body may have 1 MiB; its facts and headers come on top. The broker takes as much."""
ERRORS_ONLY = 3
"""The client's log level: it calls the guarantee below experimental at each start."""
TOPICS_TIMEOUT_SECONDS = 30.0
QUESTION_SECONDS = 10.0
RETRY_SECONDS = 0.1
READ_MESSAGES = 1_000
READ_SECONDS = 0.02


def consumer_settings(settings: Settings, service: str) -> dict[str, str | int | bool]:
    """A static member of the classic protocol: back at its partitions 0.2 s after a restart.

    Positions live in MongoDB: nothing is committed here, and a position that the broker does not
    have is an error, never a silent jump.
    """
    return {
        "bootstrap.servers": settings.kafka_servers,
        "group.id": settings.topic(service),
        "group.instance.id": settings.instance(service),
        "client.id": settings.instance(service),
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": HEARTBEAT_MS,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "fetch.wait.max.ms": 50,
        "fetch.min.bytes": 1,
        "queued.max.messages.kbytes": 32_768,
        "topic.metadata.refresh.interval.ms": 30_000,
    }


def producer_settings(settings: Settings, client: str) -> dict[str, str | int | bool]:
    """Acknowledged by all, in order, without a gap: a hole in a topic would stop its readers."""
    return {
        "bootstrap.servers": settings.kafka_servers,
        "client.id": client,
        "acks": "all",
        "enable.idempotence": True,
        "enable.gapless.guarantee": True,
        "partitioner": PARTITIONER,
        "compression.type": "lz4",
        "linger.ms": 0,
        "message.timeout.ms": NO_TIMEOUT,
        "log_level": ERRORS_ONLY,
        "queue.buffering.max.messages": 100_000,
        "message.max.bytes": MESSAGE_BYTES_MAX,
    }


def open_consumer(settings: Settings, service: str) -> Consumer:
    """The consumer of a worker; its group and static id follow from the settings."""
    return Consumer(consumer_settings(settings, service))


def open_producer(settings: Settings, service: str) -> Producer:
    """The producer with which a worker announces."""
    return Producer(producer_settings(settings, settings.instance(service)))


def open_reader(settings: Settings) -> Consumer:
    """A consumer of no group: it is told what to read (`ends`, then `read_between`)."""
    return Consumer(
        {
            "bootstrap.servers": settings.kafka_servers,
            "group.id": settings.topic("reader"),
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 10,
        }
    )


def ends(
    reader: Consumer, topic: str, partitions: int, timeout_seconds: float
) -> dict[int, tuple[int, int]]:
    """The first and the next offset of each partition, in two questions for all of them; a broker
    that is just starting is asked again. Raises `KafkaException`."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            lows, highs = (
                _offsets(reader, [TopicPartition(topic, p, which) for p in range(partitions)])
                for which in (OFFSET_BEGINNING, OFFSET_END)
            )
            return {p: (lows[p], highs[p]) for p in range(partitions)}
        except KafkaException as error:
            if error.args[0].fatal() or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)


def _offsets(reader: Consumer, places: list[TopicPartition]) -> dict[int, int]:
    found = reader.offsets_for_times(places, timeout=QUESTION_SECONDS)
    for place in found:
        if place.error is not None:
            raise KafkaException(place.error)
    return {place.partition: place.offset for place in found}


def read_between(
    reader: Consumer, topic: str, places: Mapping[int, tuple[int, int]], silent_seconds: float
) -> Iterator[Message]:
    """Each partition's messages from the first offset up to, but without, the second. Raises
    `KafkaException`, also when nothing comes for so long."""
    left = {partition: until for partition, (start, until) in places.items() if start < until}
    reader.assign([TopicPartition(topic, p, places[p][0]) for p in left])
    deadline = time.monotonic() + silent_seconds
    met = KafkaError(KafkaError._TIMED_OUT, f"nothing of {topic} came")  # noqa: SLF001  # its name
    while left:
        for message in reader.consume(READ_MESSAGES, READ_SECONDS):
            if (error := message.error()) is not None:
                if error.fatal():
                    raise KafkaException(error)
                met = error  # the client goes on by itself: a partition may have no leader yet
                continue
            deadline = time.monotonic() + silent_seconds
            partition, offset = message.partition() or 0, message.offset() or 0
            if offset < left.get(partition, 0):
                yield message
            if offset + 1 >= left.get(partition, 0):
                left.pop(partition, None)
        if time.monotonic() > deadline:
            raise KafkaException(met)
    reader.unassign()


def create_topics(settings: Settings, config: Mapping[str, str] | None = None) -> list[str]:
    """Makes the topics that are missing and returns their names. Raises `KafkaException`, also for
    one that exists with another number of partitions: partition p must hold the same customers
    everywhere."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_servers})
    have = admin.list_topics(timeout=TOPICS_TIMEOUT_SECONDS).topics
    missing = []
    for topic in TOPICS:
        name = settings.topic(topic.name)
        if name not in have:
            retention = {"retention.ms": str(topic.retention_ms), **(config or {})}
            missing.append(NewTopic(name, settings.partitions, 1, config=retention))
        elif len(have[name].partitions) != settings.partitions:
            raise KafkaException(
                KafkaError(
                    KafkaError.INVALID_PARTITIONS,
                    f"{name} has {len(have[name].partitions)} partitions, but LAUREL_PARTITIONS is "
                    f"{settings.partitions}: the number is fixed for the life of the log",
                )
            )
    if missing:
        for future in admin.create_topics(
            missing, operation_timeout=TOPICS_TIMEOUT_SECONDS
        ).values():
            future.result(TOPICS_TIMEOUT_SECONDS)
    return [topic.topic for topic in missing]
