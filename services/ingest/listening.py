"""Listens on `events.outcomes`: this instance's own partition, from its end, without a group."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Self

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from services.ingest.pump import Pump
from shared.contracts.partitions import partition_of
from shared.contracts.topics import OUTCOMES
from shared.runtime.settings import Settings

OUTCOMES_MAX = 1_000
"""Messages of one turn: about 5 ms of work."""
SILENT = 2
"""The client's log level: the producer tells of lost connections, once."""
ASSIGN_TIMEOUT_SECONDS = 5.0
ASSIGN_RETRY_SECONDS = 1.0


class Listening:
    """Gives each message to `take`, in the event loop's thread; `awaited` says whether to hurry."""

    def __init__(
        self, settings: Settings, take: Callable[[Message], None], awaited: Callable[[], bool]
    ) -> None:
        self._take = take
        self._awaited = awaited
        instance = settings.instance("gateway")
        self._topic = settings.topic(OUTCOMES.name)
        self._partition = partition_of(instance.encode(), settings.partitions)
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka_servers,
                "client.id": instance,
                "group.id": instance,  # the client asks for one; none is joined
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "latest",
                "fetch.wait.max.ms": 100,
                "queued.max.messages.kbytes": 32_768,
                "log_level": SILENT,
            }
        )
        self._pump = Pump(self._turn)
        self._assigning: asyncio.Task[None] | None = None
        self._log = structlog.get_logger().bind(service="gateway")
        self.ready = False
        """Whether every outcome from now on will be seen."""

    async def __aenter__(self) -> Self:
        self._assigning = asyncio.create_task(self._assign())
        self._pump.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pump.stop()
        if self._assigning is not None:
            self._assigning.cancel()
            with suppress(asyncio.CancelledError):
                await self._assigning
        await asyncio.to_thread(self._consumer.close)

    def hurry(self) -> None:
        """Somebody waits from now on."""
        self._pump.hurry()

    async def _assign(self) -> None:
        """From the partition's end, asked for until a broker tells it."""
        while not self.ready:
            at = TopicPartition(self._topic, self._partition)
            try:
                _, at.offset = await asyncio.to_thread(
                    self._consumer.get_watermark_offsets, at, timeout=ASSIGN_TIMEOUT_SECONDS
                )
                self._consumer.assign([at])
                self.ready = True
            except KafkaException as error:
                self._log.warning("outcomes_unreachable", reason=error.args[0].str())
                await asyncio.sleep(ASSIGN_RETRY_SECONDS)

    def _turn(self) -> bool:
        """The client mends lost connections by itself; what it tells of them is not a message."""
        if self.ready:
            for message in self._consumer.consume(OUTCOMES_MAX, 0):
                if message.error() is None:
                    self._take(message)
        return self._awaited()
