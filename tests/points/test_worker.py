"""The worker as it runs: from the log on a real broker to facts and outcomes there."""

import json
import time

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from services.points.app import POINTS
from shared.contracts.partitions import partition_of
from shared.runtime.kafka import producer_settings
from shared.runtime.messages import bytes_headers
from shared.runtime.settings import Settings
from shared.runtime.worker import opened
from tests.points.desk import Desk, Submitted

WAIT_SECONDS = 60.0


def test_what_is_on_the_log_is_decided_stored_and_announced(desk: Desk, settings: Settings) -> None:
    messages = desk.logged(
        Submitted("anna", "opt_in"),
        Submitted(
            "anna", "checkout", {"transaction_id": "T-1", "total": "120.00", "currency": "EUR"}
        ),
    )
    producer = Producer(producer_settings(settings, "test"))
    for message in messages:
        producer.produce(
            settings.topic(message.topic),
            message.value,
            message.key,
            message.partition,
            headers=list(bytes_headers(message.headers)),
        )
    assert producer.flush(WAIT_SECONDS) == 0
    deadline = time.monotonic() + WAIT_SECONDS
    with opened(POINTS, settings, structlog.get_logger()) as projector:
        projector.join()
        while len(desk.documents("decisions")) < 2:
            assert time.monotonic() < deadline, "it was not decided in time"
            projector.turn()
        projector.turn()
    assert desk.documents("states")["demo/anna"]["accounts"]["main"]["score"] == 12
    assert _facts(settings, 2) == [["standing_changed", "account_opened"], ["points_earned"]]


def _facts(settings: Settings, count: int) -> list[list[str]]:
    """The types of the facts of anna's decisions."""
    partition = partition_of(b"demo/anna", settings.partitions)
    reader = Consumer({"bootstrap.servers": settings.kafka_servers, "group.id": "test"})
    try:
        reader.assign([TopicPartition(settings.topic("points.facts"), partition, OFFSET_BEGINNING)])
        read = reader.consume(count, WAIT_SECONDS)
    finally:
        reader.close()
    values = [json.loads(message.value() or b"") for message in read]
    return [[fact["type"] for fact in value["facts"]] for value in values]
