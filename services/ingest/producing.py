"""The way onto the inbox: a bounded queue, acknowledged by the broker or known to have failed."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, Self

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from services.ingest import measures
from services.ingest.pump import Pump
from shared.contracts.topics import INBOX
from shared.runtime.kafka import producer_settings
from shared.runtime.settings import Settings

PROBE_SECONDS = 1.0
"""How often a broker that is away is asked whether it is back."""
MESSAGE_TIMEOUT_MS = 5_000
"""A client gets its 503 after this, and tries again with the same id."""
QUEUE_MESSAGES_MAX = 20_000
QUEUE_KBYTES_MAX = 65_536
MESSAGE_BYTES_MAX = 3 * 1024 * 1024
"""A body of 1 MiB grows, at worst twofold, when its amounts get all their digits. Less than the
journal may produce, which adds headers."""
SILENT = 2
"""The client's log level: its connection errors come to `_failed`, as one line each time."""

Headers = list[tuple[str, str | bytes | None]]


class Outgoing(NamedTuple):
    """One message for the inbox."""

    key: str
    value: bytes
    headers: Headers


class Sending:
    """Messages of one request: how many reports are still to come, and which failed."""

    __slots__ = ("_left", "done", "failures")

    def __init__(self, count: int, done: asyncio.Future[None]) -> None:
        self._left = count
        self.done = done
        self.failures: dict[int, str] = {}
        """By place in the request: the code of the problem that the client gets."""

    def fail(self, index: int, error: KafkaError | None) -> None:
        """Message `index` is not on the inbox, or nobody knows."""
        too_large = error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE
        self.failures[index] = "body_too_large" if too_large else "unavailable"

    def settle(self) -> None:
        """One less to wait for."""
        self._left -= 1
        if not self._left and not self.done.done():
            self.done.set_result(None)


class Producing:
    """The gateway's producer. All its methods belong to the event loop's thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.topic(INBOX.name)
        self._log = structlog.get_logger().bind(service="gateway")
        self._producer = self._new()
        self._broken: list[Producer] = []
        self._awaited = 0
        self._pump = Pump(self._turn)
        self._away = False
        self._acknowledged_at = 0.0
        self._probing: asyncio.Task[None] | None = None
        measures.QUEUE.set_function(lambda: self._awaited)
        measures.KAFKA_AWAY.set_function(lambda: self._away)

    async def __aenter__(self) -> Self:
        self._probing = asyncio.create_task(self._probe())
        self._pump.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pump.stop()
        if self._probing is not None:
            self._probing.cancel()
            with suppress(asyncio.CancelledError):
                await self._probing
        self._producer.flush(MESSAGE_TIMEOUT_MS / 1000)
        self._producer.close()

    @property
    def away(self) -> bool:
        """Whether no broker answers: then nothing is queued, the client tries again."""
        return self._away

    async def send(self, messages: Sequence[Outgoing]) -> dict[int, str]:
        """Produces in order and waits for every report; gives the problem's code of what failed."""
        sending = Sending(len(messages), asyncio.get_running_loop().create_future())
        if self._away or not messages:
            return dict.fromkeys(range(len(messages)), "unavailable")
        for index, message in enumerate(messages):
            self._produce(message, sending, index)
        self._pump.hurry()
        await sending.done
        return sending.failures

    async def brokers(self, timeout_seconds: float) -> int:
        """How many brokers answer for; 0 where none does in time."""
        try:
            found = await asyncio.to_thread(
                self._producer.list_topics, self._topic, timeout=timeout_seconds
            )
        except KafkaException:
            return 0
        if self._away:
            self._away = False
            self._log.info("kafka_back")
        return len(found.brokers)

    def _produce(self, message: Outgoing, sending: Sending, index: int) -> None:
        try:
            self._producer.produce(
                self._topic,
                message.value,
                message.key,
                headers=message.headers,
                on_delivery=partial(self._delivered, sending, index),
            )
        except BufferError:
            measures.QUEUE_FULL.inc()
            sending.fail(index, None)
            sending.settle()
        except KafkaException as error:
            sending.fail(index, error.args[0])
            sending.settle()
        else:
            self._awaited += 1

    def _delivered(
        self, sending: Sending, index: int, error: KafkaError | None, _message: Message
    ) -> None:
        self._awaited -= 1
        if error is None:
            self._away = False
            self._acknowledged_at = time.monotonic()
        else:
            sending.fail(index, error)
            if error.code() == KafkaError._MSG_TIMED_OUT:  # noqa: SLF001  # its own name
                self._suspect()
        sending.settle()

    def _suspect(self) -> None:
        """A message got no report: the brokers are away, unless others got theirs meanwhile."""
        if time.monotonic() - self._acknowledged_at > PROBE_SECONDS:
            self._is_away("no report")

    def _is_away(self, reason: str) -> None:
        if not self._away:
            self._away = True
            self._log.warning("kafka_away", reason=reason)

    def _turn(self) -> bool:
        self._producer.poll(0)
        for broken in self._broken:
            broken.poll(0)
        self._broken = [broken for broken in self._broken if len(broken)]
        return self._awaited > 0

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            if self._away:
                await self.brokers(PROBE_SECONDS)

    def _new(self) -> Producer:
        return Producer(
            producer_settings(self._settings, self._settings.instance("gateway"))
            | {
                "enable.gapless.guarantee": False,
                "linger.ms": 1,
                "message.timeout.ms": MESSAGE_TIMEOUT_MS,
                "message.max.bytes": MESSAGE_BYTES_MAX,
                "queue.buffering.max.messages": QUEUE_MESSAGES_MAX,
                "queue.buffering.max.kbytes": QUEUE_KBYTES_MAX,
                "socket.timeout.ms": MESSAGE_TIMEOUT_MS,
                "log_level": SILENT,
                "error_cb": self._failed,
            }
        )

    def _failed(self, error: KafkaError) -> None:
        """Errors of the connection as a whole, from `poll`."""
        if error.fatal():
            self._log.error("producer_replaced", reason=error.str())
            asyncio.get_running_loop().call_soon(self._replace)  # not inside its own poll
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self._is_away(error.str())

    def _replace(self) -> None:
        """A producer that is broken for good fails what it holds; a new one takes its place."""
        self._broken.append(self._producer)
        self._producer.purge()
        self._producer = self._new()
