"""The producer's queue where it is full, where no broker is, and where the client breaks."""

import asyncio
import time

import pytest
from pydantic import SecretStr

from services.ingest import producing
from services.ingest.producing import Outgoing, Producing
from shared.runtime.settings import Settings

NOWHERE = Settings(kafka_servers="127.0.0.1:9", content_secret=SecretStr("x"))
"""Nobody listens on the port for discarding."""


def messages(count: int) -> list[Outgoing]:
    return [Outgoing(f"demo/c-{number}", b"{}", [("ce_id", "e")]) for number in range(count)]


async def away(sending: Producing) -> None:
    deadline = time.monotonic() + 20
    while not sending.away:
        assert time.monotonic() < deadline, "nobody noticed"
        await asyncio.sleep(0.01)


def test_without_a_broker_nothing_is_queued_once_that_is_known() -> None:
    async def scenario() -> None:
        async with Producing(NOWHERE) as sending:
            await away(sending)
            started = time.monotonic()
            assert await sending.send(messages(2)) == {0: "unavailable", 1: "unavailable"}
            assert time.monotonic() - started < 1
            assert await sending.brokers(0.1) == 0

    asyncio.run(scenario())


def test_a_full_queue_refuses_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producing, "QUEUE_MESSAGES_MAX", 3)
    monkeypatch.setattr(producing, "MESSAGE_TIMEOUT_MS", 1_000)

    async def scenario() -> None:
        async with Producing(NOWHERE) as sending:
            failures = await sending.send(messages(5))
            assert failures == dict.fromkeys(range(5), "unavailable")
            assert list(failures)[:2] == [3, 4], "the last two are told first"

    asyncio.run(scenario())


def test_a_client_that_broke_for_good_is_replaced(settings: Settings) -> None:
    async def scenario() -> None:
        async with Producing(settings) as sending:
            assert await sending.send(messages(3)) == {}
            under_way = asyncio.create_task(sending.send(messages(3)))
            await asyncio.sleep(0)
            sending._replace()
            assert set((await under_way).values()) <= {"unavailable"}
            assert await sending.send(messages(3)) == {}

    asyncio.run(scenario())


def test_an_event_that_no_message_can_hold_is_too_large(settings: Settings) -> None:
    large = Outgoing("demo/c", b"x" * (producing.MESSAGE_BYTES_MAX + 1), [])

    async def scenario() -> None:
        async with Producing(settings) as sending:
            assert await sending.send([large, *messages(1)]) == {0: "body_too_large"}

    asyncio.run(scenario())
