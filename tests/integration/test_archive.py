"""The archive with real services: what a topic has lost, a service reads from MongoDB."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from pymongo import MongoClient

from shared.runtime.archive import Archive
from shared.runtime.messages import facts_link, log_link
from shared.runtime.mongo import open_client
from shared.runtime.ports import Document
from shared.runtime.settings import Settings
from tests.faults.model import Load, Sender, messages
from tests.faults.progress import Progress
from tests.faults.staging import set_program, wait
from tests.running import Stack, stack_of

TOPICS = {"events.log": log_link, "customers.facts": facts_link, "points.facts": facts_link}
READERS = {
    "points": ("points", ["events.log"]),
    "cards": ("query", ["points.facts", "customers.facts"]),
}
"""Services to be made anew: their database, and what they read."""
CAUGHT_UP_SECONDS = 60.0


@pytest.fixture
def loaded(settings: Settings, tmp_path: Path) -> Iterator[Stack]:
    """The workers, with a load behind them."""
    with stack_of(settings, tmp_path) as stack:
        set_program(stack)
        for name in ("journal", "customers", "points", "cards"):
            stack.add(name)
        stack.start()
        sender = Sender(settings)
        for customer, value in Load(customers=40, events=1_500):
            sender.send(customer, value)
        sender.flush()
        caught_up(stack)
        yield stack


@pytest.fixture
def client(settings: Settings) -> Iterator[MongoClient[Document]]:
    with open_client(settings) as opened:
        yield opened


def caught_up(stack: Stack) -> None:
    with Progress(stack.settings) as progress:
        assert wait(
            lambda: all(
                len(progress.cursors(name)) == stack.settings.partitions
                for name in ("customers", "points", "cards")
            ),
            CAUGHT_UP_SECONDS,
        )
        assert progress.caught_up(CAUGHT_UP_SECONDS), "the services did not catch up"


Told = tuple[int, dict[str, str], bytes]


def announced(settings: Settings, topic: str) -> list[Told]:
    """What a reader of the topic takes: the first message of each number, by partition."""
    seen: dict[int, int] = {}
    taken = []
    for partition, headers, value in messages(settings, topic):
        link = TOPICS[topic](headers)
        assert link is not None
        if link.number > seen.get(partition, 0):
            seen[partition] = link.number
            taken.append((partition, headers, value))
    return sorted(taken, key=lambda told: told[0])


def delete_to_the_middle(settings: Settings, topic: str) -> None:
    """As retention does, in every partition."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_servers})
    consumer = Consumer({"bootstrap.servers": settings.kafka_servers, "group.id": "middle"})
    middles = []
    for partition in range(settings.partitions):
        place = TopicPartition(settings.topic(topic), partition)
        _, high = consumer.get_watermark_offsets(place, timeout=10)
        middles.append(TopicPartition(place.topic, partition, high // 2))
    consumer.close()
    for deleted in admin.delete_records(middles).values():
        deleted.result(10)


def test_what_topics_have_lost_is_read_from_the_archive(
    loaded: Stack, client: MongoClient[Document]
) -> None:
    assert_the_very_messages(loaded.settings, Archive(client, loaded.settings))
    for name, (database, topics) in READERS.items():
        loaded.processes[name].stop()
        before = contents(client, loaded.settings.database(database))
        client.drop_database(loaded.settings.database(database))
        for topic in topics:
            delete_to_the_middle(loaded.settings, topic)
        loaded.start(name)
        caught_up(loaded)
        assert contents(client, loaded.settings.database(database)) == before


def assert_the_very_messages(settings: Settings, archive: Archive) -> None:
    for topic in TOPICS:
        kept = [
            (partition, dict(message.headers), message.value)
            for partition in range(settings.partitions)
            for chunk in archive.chunks(topic, partition)
            for message in chunk
        ]
        assert len(kept) > settings.partitions
        assert kept == announced(settings, topic)


def contents(client: MongoClient[Document], database: str) -> dict[str, list[Document]]:
    """Every document but the cursors."""
    found = {
        name: list(client[database][name].find().sort("_id", 1))
        for name in sorted(client[database].list_collection_names())
        if name != "cursors"
    }
    assert any(itertools.chain(*found.values())), "there is nothing to compare"
    return found
