"""The gateway on a real uvicorn, Kafka and mongod, and what arrives on its inbox."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import uvicorn
from confluent_kafka import Consumer, Message, TopicPartition
from pydantic import SecretStr
from pymongo import MongoClient

from deploy.local.servers import Servers
from services.ingest.gateway import build_gateway
from shared.runtime.kafka import create_topics
from shared.runtime.messages import text_headers
from shared.runtime.settings import Settings

DEADLINE_SECONDS = 20
ADMIN = {"authorization": "Bearer local-admin-key"}


@dataclass(frozen=True)
class Arrived:
    """A message of the inbox."""

    key: str
    partition: int
    headers: dict[str, str]
    value: bytes


class Inbox:
    """Everything that arrives on the inbox from when this was made."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": settings.kafka_servers, "group.id": "reads-the-inbox"}
        )
        topic = settings.topic("events.inbox")
        self._partitions = [TopicPartition(topic, p) for p in range(settings.partitions)]
        self._consumer.assign(
            [TopicPartition(t.topic, t.partition, self._end(t)) for t in self._partitions]
        )

    def size(self) -> int:
        """Messages on the inbox."""
        return sum(self._end(partition) for partition in self._partitions)

    def take(self, count: int) -> list[Arrived]:
        """The next `count` messages; fewer when the deadline passes."""
        taken: list[Arrived] = []
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(taken) < count and time.monotonic() < deadline:
            taken += [
                _arrived(message) for message in self._consumer.consume(count - len(taken), 0.2)
            ]
        return taken

    def close(self) -> None:
        """Leaves the broker alone."""
        self._consumer.close()

    def _end(self, partition: TopicPartition) -> int:
        low_high = self._consumer.get_watermark_offsets(partition, timeout=DEADLINE_SECONDS)
        assert low_high is not None
        return low_high[1]


def _arrived(message: Message) -> Arrived:
    assert message.error() is None
    key, value, partition = message.key(), message.value(), message.partition()
    assert isinstance(key, bytes)
    assert isinstance(value, bytes)
    assert partition is not None
    headers: Any = message.headers()
    return Arrived(key.decode(), partition, text_headers(headers), value)


@contextmanager
def serving(settings: Settings) -> Iterator[httpx2.Client]:
    """A gateway as production runs it, ready; the client speaks as the administrator of `demo`."""
    config = uvicorn.Config(
        build_gateway(settings), port=0, loop="uvloop", http="httptools", ws="none", log_config=None
    )
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    socket.listen()  # who connects before the server runs waits for it
    thread = threading.Thread(target=server.run, args=([socket],))
    thread.start()
    url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    try:
        with httpx2.Client(base_url=url, headers=ADMIN, timeout=DEADLINE_SECONDS) as client:
            wait_ready(client)
            yield client
    finally:
        server.should_exit = True
        thread.join(DEADLINE_SECONDS)
        socket.close()


def wait_ready(client: httpx2.Client) -> None:
    """Until `/readyz` says so."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (answer := client.get("/readyz")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)


@pytest.fixture(scope="session")
def gateway_settings(servers: Servers) -> Iterator[Settings]:
    """One namespace for all tests that need no topic of their own."""
    made = Settings(
        namespace=f"gateway-{uuid4().hex[:6]}",
        kafka_servers=servers.kafka_servers,
        mongo_url=servers.mongo_url,
        keys=SecretStr(
            "local-admin-key:demo:admin,local-read-key:demo:read,local-other-key:other:admin"
        ),
        content_secret=SecretStr("a-fixed-secret-of-the-tests-0001"),
        query_url="https://query.example",
    )
    create_topics(made)
    yield made
    with MongoClient[Any](made.mongo_url) as client:
        for name in client.list_database_names():
            if name.startswith(f"{made.namespace}_"):
                client.drop_database(name)


@pytest.fixture(scope="session")
def gateway(gateway_settings: Settings) -> Iterator[httpx2.Client]:
    """The gateway, shared by tests that take customers of their own."""
    with serving(gateway_settings) as client:
        yield client


@pytest.fixture
def inbox(gateway: httpx2.Client, gateway_settings: Settings) -> Iterator[Inbox]:
    """What arrives from now on."""
    reader = Inbox(gateway_settings)
    yield reader
    reader.close()
