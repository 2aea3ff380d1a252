"""Servers that are away: the gateway says so at once, loses nothing, and recovers by itself."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from confluent_kafka import Producer

from deploy.local.servers import Server, Servers
from shared.runtime.deciding import outcome_message
from shared.runtime.kafka import PARTITIONER
from shared.runtime.settings import Settings
from tests.ingest.serving import DEADLINE_SECONDS, Inbox, serving, wait_ready

pytestmark = [pytest.mark.faults, pytest.mark.slow]

EVENT: dict[str, Any] = {"customer": "c-1", "action": "point_add", "data": {"points": 5}}


def post(gateway: httpx2.Client, event_id: str, **headers: str) -> httpx2.Response:
    return gateway.post("/v1/events", json={**EVENT, "id": event_id}, headers=headers)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def missing(gateway: httpx2.Client) -> list[str]:
    answer = gateway.get("/readyz")
    found: list[str] = answer.json().get("missing", [])
    return found


def assert_unavailable(answer: httpx2.Response, event_id: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["id"] == event_id
    assert int(answer.headers["retry-after"]) >= 1


def assert_answers_who_waits(gateway: httpx2.Client, settings: Settings) -> None:
    """The listener has survived, too."""
    inbox = Inbox(settings)
    producer = Producer({"bootstrap.servers": settings.kafka_servers, "partitioner": PARTITIONER})
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, gateway, "after", prefer="wait=20")
        headers = inbox.take(1)[0].headers
        said = outcome_message("demo", "after", headers["reply_to"], {"status": "accepted"})
        topic = settings.topic("events.outcomes")
        producer.produce(topic, said.value, said.key, headers=list(said.headers))
        producer.flush(20)
        assert answer.result().json() == {"status": "accepted"}
    inbox.close()


def freeze(server: Server) -> Callable[[], None]:
    server.freeze()
    return server.thaw


def kill(server: Server) -> Callable[[], None]:
    server.kill()
    return server.start


@pytest.mark.parametrize("end", [freeze, kill])
def test_a_broker_that_is_away_and_back(
    servers: Servers, settings: Settings, end: Callable[[Server], Callable[[], None]]
) -> None:
    with serving(settings) as gateway:
        assert post(gateway, "before").status_code == 202
        back = end(servers.kafka)
        try:
            # The first may have to find out; the broker may or may not have it.
            assert_unavailable(post(gateway, "first"), "first")
            started = time.monotonic()
            for number in range(20):
                assert_unavailable(post(gateway, f"next-{number}"), f"next-{number}")
            assert time.monotonic() - started < 2, "later ones are told at once"
            batch = gateway.post("/v1/events/batch", json={"events": [EVENT]})
            assert (batch.status_code, batch.headers["retry-after"]) == (503, "1")
            assert "kafka" in missing(gateway)
            assert gateway.get("/livez").status_code == 200
        finally:
            back()
        servers.kafka.wait_ready()
        until(lambda: post(gateway, "again").status_code == 202)
        wait_ready(gateway)
        assert_answers_who_waits(gateway, settings)


def test_a_gateway_that_starts_before_the_broker_becomes_ready(
    servers: Servers, settings: Settings
) -> None:
    servers.kafka.kill()
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(servers.kafka.start)
        with serving(settings) as gateway:
            assert post(gateway, "first").status_code == 202
            assert_answers_who_waits(gateway, settings)
        started.result()


def test_a_database_that_is_away_stops_only_what_needs_it(
    servers: Servers, settings: Settings
) -> None:
    checkout = {
        "customer": "c-1",
        "action": "checkout",
        "data": {"transaction_id": "T", "total": 1},
    }
    with serving(settings) as gateway:
        servers.mongod.freeze()
        try:
            assert post(gateway, "as ever").status_code == 202
            assert missing(gateway) == ["mongo"]
            answer = gateway.post("/v1/events", json=checkout)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert post(gateway, "unanswered", prefer="wait=1").status_code == 202
        finally:
            servers.mongod.thaw()
        wait_ready(gateway)
        until(lambda: gateway.post("/v1/events", json=checkout).status_code == 202)
        assert_answers_who_waits(gateway, settings)
