"""Kafka as the projectors use it: topics, the consumer's and the producer's settings."""

from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
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
