"""How far each service has read: positions in MongoDB beside the ends of Kafka's topics."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it lists no __all__
    AdminClient,
    OffsetSpec,
)
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from cli.problems import CommandError
from shared.contracts.topics import TOPICS
from shared.runtime.mongo import field_name
from shared.runtime.settings import Settings

_TOPIC_OF_FIELD = {field_name(topic.name): topic.name for topic in TOPICS}
BROKER_TIMEOUT_MS = 5_000
ANSWER_SECONDS = 10.0
"""Somebody sits before the screen: a broker that hangs is told from one that is slow."""
SETTLING_SECONDS = 0.25
_SETTLING = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


class Watermarks(NamedTuple):
    """The first offset that is still there, and the next one that will be written."""

    low: int
    high: int


class Position(NamedTuple):
    """One input of one service in one partition: the next offset it reads, and the topic's end."""

    service: str
    topic: str
    partition: int
    next: int
    end: int

    @property
    def lag(self) -> int:
        """Messages that the service has not taken in yet."""
        return max(0, self.end - self.next)


def open_admin(settings: Settings) -> AdminClient:
    """An admin client that gives up on a broker that is away instead of waiting a minute."""
    return AdminClient(
        {
            "bootstrap.servers": settings.kafka_servers,
            "socket.timeout.ms": BROKER_TIMEOUT_MS,
            "log_level": 0,  # what is wrong is said in our own words
        }
    )


def kafka_away(settings: Settings, error: KafkaException) -> CommandError:
    """What an operator is told."""
    return CommandError(
        f"Kafka at {settings.kafka_servers} does not answer ({error.args[0].str()}); "
        "`./laurel status` says what runs."
    )


def mongo_away(error: PyMongoError) -> CommandError:
    """The same for MongoDB; the driver's text is long, its beginning says what is wrong."""
    why = str(error).split(" (configured", 1)[0]
    return CommandError(f"MongoDB does not answer ({why}); `./laurel status` says what runs.")


@contextmanager
def servers_answer(settings: Settings) -> Iterator[None]:
    """Around what asks Kafka or MongoDB: one that is away becomes a `CommandError`."""
    try:
        yield
    except KafkaException as error:
        raise kafka_away(settings, error) from error
    except PyMongoError as error:
        raise mongo_away(error) from error


def watermarks(admin: AdminClient, topics: Iterable[str]) -> dict[tuple[str, int], Watermarks]:
    """By topic and partition, of those topics that exist. Raises `KafkaException`."""
    known = admin.list_topics(timeout=ANSWER_SECONDS).topics
    places = [
        TopicPartition(name, partition)
        for name in topics
        if name in known
        for partition in known[name].partitions
    ]
    low = _offsets(admin, places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    high = _offsets(admin, places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    return {place: Watermarks(low[place], high[place]) for place in high}


def _offsets(
    admin: AdminClient, places: list[TopicPartition], which: OffsetSpec
) -> dict[tuple[str, int], int]:
    """A topic just made, or a broker just started, is still choosing leaders: asked again."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        answers = admin.list_offsets(dict.fromkeys(places, which)) if places else {}
        try:
            return {
                (place.topic, place.partition): answer.result(ANSWER_SECONDS).offset
                for place, answer in answers.items()
            }
        except KafkaException as error:
            if error.args[0].code() not in _SETTLING or time.monotonic() > deadline:
                raise
            time.sleep(SETTLING_SECONDS)


def positions(
    admin: AdminClient, mongo: MongoClient[dict[str, Any]], settings: Settings
) -> list[Position]:
    """Every service that keeps cursors, in order of service, topic and partition."""
    read = [
        (service, topic, document["_id"], offset)
        for service in services_of(mongo, settings)
        for document in mongo[settings.database(service)].cursors.find({}, {"next": 1})
        for field, offset in (document.get("next") or {}).items()
        if (topic := _TOPIC_OF_FIELD.get(field))
    ]
    ends = watermarks(admin, sorted({settings.topic(topic) for _, topic, _, _ in read}))
    return sorted(
        Position(service, topic, partition, offset, ends[settings.topic(topic), partition].high)
        for service, topic, partition, offset in read
        if (settings.topic(topic), partition) in ends
    )


def services_of(mongo: MongoClient[dict[str, Any]], settings: Settings) -> list[str]:
    """The services that have a database in the namespace."""
    prefix = settings.database("")
    names = sorted(mongo.list_database_names())
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def behind(found: Iterable[Position], services: Iterable[str], partitions: int) -> int | None:
    """Messages that are still to be taken in, of all services together.

    None: a service has no position yet in some partition, so nobody can say.
    """
    by_service: dict[str, set[int]] = {}
    total = 0
    for position in found:
        by_service.setdefault(position.service, set()).add(position.partition)
        total += position.lag
    complete = all(len(by_service.get(service, ())) == partitions for service in services)
    return total if complete else None
