"""The worker on real servers: cards follow both topics, and the list can wait for them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer
from pymongo import MongoClient

from services.query.app import CARDS
from shared.contracts.decisions import number
from shared.runtime import logs
from shared.runtime.kafka import producer_settings
from shared.runtime.ports import Document
from shared.runtime.settings import Settings
from shared.runtime.worker import opened

WAIT_SECONDS = 30.0
PARTITION = 3
BALANCES = b"""{"facts": [], "balances": {"main": {"score": 5, "spent": 1, "pending": 0,
    "reserved": 0, "expired": 0, "spendable": 4}}}"""
STATUS = b'{"facts": [], "status": "active"}'


@contextmanager
def cards(settings: Settings) -> Iterator[None]:
    """The worker, in a thread."""
    with opened(CARDS, settings, logs.configure(settings, "query")) as projector:
        thread = threading.Thread(target=projector.run)
        thread.start()
        try:
            yield
        finally:
            projector.stop()
            thread.join(WAIT_SECONDS)
            assert not thread.is_alive()


def announce(settings: Settings, topic: str, seq: int, previous: int, value: bytes) -> int:
    """A message of facts, as `deciding.announcements` makes it; its number."""
    decision = number(PARTITION, seq)
    headers = {
        "decision": str(decision),
        "previous": str(previous),
        "lineage": "one",
        "tenant": "demo",
        "customer": "c-1",
        "outcome": "accepted",
    }
    producer = Producer(producer_settings(settings, "test"))
    producer.produce(
        settings.topic(topic), value, b"demo/c-1", PARTITION,
        headers=[(name, text.encode()) for name, text in headers.items()],
    )  # fmt: skip
    assert producer.flush(WAIT_SECONDS) == 0
    return decision


@pytest.mark.servers
def test_cards_follow_points_and_customers_across_a_restart(settings: Settings) -> None:
    with MongoClient[Document](settings.mongo_url, readConcernLevel="majority") as client:
        database = client[settings.database("query")]

        def wait_for(points: int, customers: int) -> Document:
            deadline = time.monotonic() + WAIT_SECONDS
            wanted = {"points_facts": points, "customers_facts": customers}
            while (database.cursors.find_one({"_id": PARTITION}) or {}).get("seen") != wanted:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            return database.cards.find_one({"_id": "demo/c-1"}) or {}

        with cards(settings):
            status = announce(settings, "customers.facts", 1, 0, STATUS)
            balance = announce(settings, "points.facts", 2, 0, BALANCES)
            card = wait_for(balance, status)
            assert (card["status"], card["score"], card["spendable"]) == ("active", 5, 4)
        with cards(settings):
            status = announce(settings, "customers.facts", 4, status, b'{"status": "suspended"}')
            card = wait_for(balance, status)
            assert (card["status"], card["score"]) == ("suspended", 5)
