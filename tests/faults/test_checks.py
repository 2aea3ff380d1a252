"""The comparison that every fault test ends with: each kind of damage is found, by its name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer
from pymongo import MongoClient

from shared.runtime.kafka import producer_settings
from shared.runtime.mongo import open_client
from shared.runtime.ports import Document
from shared.runtime.settings import Settings
from tests.faults.checks import differences
from tests.faults.model import Load, messages, model_of
from tests.faults.progress import Progress
from tests.faults.staging import staged
from tests.faults.stream import Stream

pytestmark = [pytest.mark.faults, pytest.mark.slow]

CAUGHT_UP_SECONDS = 60
DAMAGED: dict[str, tuple[str, str, Callable[[Document], Document | None], str]] = {
    "a card says too much": ("query", "cards", lambda d: {**d, "score": d["score"] + 1}, "card"),
    "a card is gone": ("query", "cards", lambda _: None, "the card says (None"),
    "a balance is wrong": (
        "points",
        "states",
        lambda d: {**d, "accounts": {}},
        "score and spent (0, 0)",
    ),
    "a decision is gone": ("customers", "decisions", lambda _: None, "None, not accepted"),
    "a decision is there twice": (
        "customers",
        "decisions",
        lambda d: {**d, "_id": d["_id"] + 1},
        "was decided twice",
    ),
    "a decision says something else": (
        "points",
        "decisions",
        lambda d: {**d, "outcome": "none"},
        "none, not",
    ),
    "a cursor is ahead": ("points", "cursors", lambda d: {**d, "last": d["last"] + 1}, "ends at"),
}


def test_every_kind_of_damage_is_found(settings: Settings, tmp_path: Path) -> None:
    load = Load(customers=20, events=200)
    with staged(settings, tmp_path), Progress(settings) as progress:
        with Stream(settings, iter(load), 500) as stream:
            stream.finish(CAUGHT_UP_SECONDS)
        assert progress.caught_up(CAUGHT_UP_SECONDS)
    model = model_of(settings)
    assert differences(settings, model) == []
    with open_client(settings) as client:
        for name, damage in DAMAGED.items():
            found = _damaged(client, settings, *damage[:3], lambda: differences(settings, model))
            assert [one for one in found if damage[3] in one], f"{name}: {found}"
    assert differences(settings, model) == []
    _damage_a_topic(settings)
    found = differences(settings, model)
    assert [one for one in found if " follows " in one], found
    assert [one for one in found if "says something else" in one], found


def _damaged(
    client: MongoClient[Document],
    settings: Settings,
    service: str,
    collection: str,
    damage: Callable[[Document], Document | None],
    look: Callable[[], list[str]],
) -> list[str]:
    """What is found while one document is damaged; afterwards it is as it was."""
    documents = client[settings.database(service)][collection]
    before = documents.find_one({"accounts": {"$ne": {}}, "outcome": {"$ne": "followed"}})
    assert before is not None
    after = damage(before)
    if after is None:
        documents.delete_one({"_id": before["_id"]})
    else:
        documents.replace_one({"_id": after["_id"]}, after, upsert=True)
    found = look()
    if after is not None:
        documents.delete_one({"_id": after["_id"]})
    documents.replace_one({"_id": before["_id"]}, before, upsert=True)
    return found


def _damage_a_topic(settings: Settings) -> None:
    """The first message once more with another value, and one after a gap."""
    topic = "points.facts"
    partition, headers, value = next(messages(settings, topic))
    producer = Producer(producer_settings(settings, "damage"))
    gap = {**headers, "decision": str(2**62), "previous": str(2**62 - 1)}
    for said, as_if in ((value + b" ", headers), (value, gap)):
        told: dict[str, str | bytes | None] = {**as_if}
        producer.produce(settings.topic(topic), said, partition=partition, headers=told)
    producer.flush(10)
