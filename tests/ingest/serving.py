"""The gateway on a real uvicorn, Kafka and mongod, and what arrives on its inbox."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from services.ingest.gateway import build_gateway
from services.ingest.rates import Clock
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
        self._topic = settings.topic("events.inbox")
        self._partitions = range(settings.partitions)
        # One that fetches answers other questions late, on the same connection.
        self._asks, self._reads = (
            Consumer({"bootstrap.servers": settings.kafka_servers, "group.id": "reads-the-inbox"})
            for _ in range(2)
        )
        self._reads.assign(
            [TopicPartition(self._topic, number, self._end(number)) for number in self._partitions]
        )

    def size(self) -> int:
        """Messages on the inbox."""
        return sum(self._end(number) for number in self._partitions)

    def take(self, count: int) -> list[Arrived]:
        """The next `count` messages; fewer when the deadline passes."""
        taken: list[Arrived] = []
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(taken) < count and time.monotonic() < deadline:
            taken += [_arrived(message) for message in self._reads.consume(count - len(taken), 0.2)]
        return taken

    def close(self) -> None:
        """Leaves the broker alone."""
        self._asks.close()
        self._reads.close()

    def _end(self, partition: int) -> int:
        """A topic that was just made may not have its leader yet."""
        at = TopicPartition(self._topic, partition)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                low_high = self._asks.get_watermark_offsets(at, timeout=DEADLINE_SECONDS)
            except KafkaException:
                assert time.monotonic() < deadline, "the inbox has no leader"
                time.sleep(0.05)
            else:
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
def serving(settings: Settings, clock: Clock = time.monotonic) -> Iterator[httpx2.Client]:
    """A gateway as production runs it, ready; the client speaks as the administrator of `demo`.

    `clock`: of the rates.
    """
    app = build_gateway(settings, clock)
    config = uvicorn.Config(
        app, port=0, loop="uvloop", http="httptools", ws="none", log_config=None
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
