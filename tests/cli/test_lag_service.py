"""The lag on real servers: the oldest message of each input, and who is parked."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer
from confluent_kafka import Producer
from typer.testing import CliRunner

from cli.lag import lag
from shared.runtime.kafka import producer_settings
from shared.runtime.mongo import open_client
from shared.runtime.settings import Settings
from tests.running import variables_of

AGES = {0: 30, 1: 20, 2: 10}
"""Seconds since each message of partition 3 was produced, by offset."""


def _look(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name, value in variables_of(settings).items():
        monkeypatch.setenv(name, value)
    app = typer.Typer()
    app.command()(lag)
    answer: dict[str, Any] = json.loads(CliRunner().invoke(app, ["--json"]).output)
    return answer


def _produce(settings: Settings) -> None:
    producer = Producer(producer_settings(settings, "suite"))
    now_ms = time.time_ns() // 1_000_000
    for seconds in AGES.values():
        producer.produce(
            settings.topic("events.log"), b"x", partition=3, timestamp=now_ms - seconds * 1000
        )
    assert producer.flush(30) == 0
    producer.close()


def test_each_service_waits_as_long_as_its_own_next_message(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _produce(settings)
    with open_client(settings) as mongo:
        for service, position in (("points", 1), ("customers", 2), ("query", 3)):
            mongo[settings.database(service)].cursors.insert_one(
                {"_id": 3, "next": {"events_log": position}}
            )
    found = _look(settings, monkeypatch)
    seconds = {one["service"]: one["oldest_seconds"] for one in found["inputs"]}
    assert {one["service"]: one["lag"] for one in found["inputs"]} == {
        "points": 2, "customers": 1, "query": 0,
    }  # fmt: skip
    assert seconds["points"] >= AGES[1]
    assert seconds["points"] - seconds["customers"] == pytest.approx(AGES[1] - AGES[2], abs=5)
    assert seconds["query"] == 0
    assert found["lag"] == 3
    assert found["oldest_seconds"] == seconds["points"]


def test_parked_customers_are_counted_and_the_oldest_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    with open_client(settings) as mongo:
        mongo[settings.database("points")].parked_customers.insert_many(
            {
                "_id": f"demo/c-{number}",
                "since": now - timedelta(hours=number),
                "event": f"e-{number}",
                "waiting": 10 * number,
            }
            for number in (1, 3, 2)
        )
    (parked,) = _look(settings, monkeypatch)["parked"]
    assert (parked["service"], parked["customers"], parked["events"]) == ("points", 3, 60)
    assert parked["oldest"].pop("since").endswith("Z")
    assert parked["oldest"] == {"customer": "demo/c-3", "event": "e-3", "waiting": 30}


def test_nobody_is_parked_and_nothing_waits(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _look(settings, monkeypatch)
    assert found.pop("at")
    assert found == {"lag": 0, "oldest_seconds": 0.0, "inputs": [], "parked": []}


def test_a_message_that_is_not_handed_over_in_time_has_no_known_age(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _produce(settings)
    with open_client(settings) as mongo:
        mongo[settings.database("points")].cursors.insert_one({"_id": 3, "next": {"events_log": 1}})
    monkeypatch.setattr("cli.lag.PEEK_SECONDS", -1.0)
    found = _look(settings, monkeypatch)
    assert (found["lag"], found["oldest_seconds"]) == (2, None)
