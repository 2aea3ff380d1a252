"""The AsyncAPI document: as the code makes it, valid, and what really goes over the topics."""

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import jsonschema
import msgspec
import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from deploy.contracts import FOLDER
from deploy.local.programs import SERVICES
from services.customers.app import CUSTOMERS
from services.ingest.app import JOURNAL
from services.points.app import POINTS
from services.query.app import CARDS
from shared.contracts import asyncapi
from shared.contracts.topics import TOPICS
from shared.runtime.messages import Tick, text_headers
from tests.contracts.conftest import purchase, submitted
from tests.contracts.official import asyncapi_schema
from tests.running import Stack

DOCUMENT: dict[str, Any] = json.loads((FOLDER / "asyncapi.json").read_bytes())
WORKERS = {"journal": JOURNAL, "customers": CUSTOMERS, "points": POINTS, "cards": CARDS}
READ_SECONDS = 30.0


def operations(action: str) -> set[tuple[str, str]]:
    """Process and topic of each operation."""
    names = [name for name, one in DOCUMENT["operations"].items() if one["action"] == action]
    parts = [name.split(".", 2) for name in names]
    return {(process, topic) for process, _, topic in parts}


def test_the_document_is_the_one_that_the_code_makes() -> None:
    assert (FOLDER / "asyncapi.json").read_bytes() == asyncapi.encoded(), "run `make contracts`"


def test_it_is_valid_by_the_official_schema() -> None:
    schema = asyncapi_schema()
    check = jsonschema.validators.validator_for(schema)(schema)
    found = [
        f"{list(error.absolute_path)}: {error.message}" for error in check.iter_errors(DOCUMENT)
    ]
    assert found == []


def test_the_official_schema_finds_what_is_wrong() -> None:
    schema = asyncapi_schema()
    spoilt = json.loads(json.dumps(DOCUMENT))
    del spoilt["operations"]["journal.send.events.log"]["action"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validators.validator_for(schema)(schema).validate(spoilt)


def test_every_topic_is_a_channel_with_its_key_and_its_retention() -> None:
    channels = DOCUMENT["channels"]
    assert list(channels) == [topic.name for topic in TOPICS]
    for topic in TOPICS:
        channel = channels[topic.name]
        assert channel["address"] == "{namespace}." + topic.name
        assert topic.key in channel["description"]
        settings = channel["bindings"]["kafka"]["topicConfiguration"]
        assert settings["retention.ms"] == topic.retention_ms


def test_workers_receive_what_they_are_wired_to() -> None:
    wired = {(name, item.topic) for name, worker in WORKERS.items() for item in worker.inputs}
    assert operations("receive") == wired | {("gateway", "events.outcomes")}


def test_every_topic_has_a_sender_and_every_process_is_one_of_the_stack() -> None:
    assert {topic for _, topic in operations("send")} == {topic.name for topic in TOPICS}
    known = {service.name for service in SERVICES} | {asyncapi.COMMAND}
    assert {process for process, _ in operations("send") | operations("receive")} <= known


def test_a_tick_is_described_as_the_runtime_reads_it() -> None:
    described = DOCUMENT["components"]["schemas"]["Tick"]["properties"]
    assert set(described) == {field.name for field in msgspec.structs.fields(Tick)}


def test_every_reference_leads_somewhere() -> None:
    for reference in _references(DOCUMENT):
        at: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]


def test_what_goes_over_the_topics_is_what_the_document_says(used: Stack) -> None:
    sent = {
        "id": "T-spend",
        "customer": "c-1001",
        "action": "point_spend",
        "data": {"points": 9999},
    }
    assert submitted(used, sent)["code"] == "insufficient_points"
    assert submitted(used, purchase())["duplicate"] is True
    live = [topic.name for topic in TOPICS if not topic.name.endswith(".dead")]
    seen: dict[str, set[str]] = {topic: set() for topic in live}
    for topic, message in _messages(used, live):
        seen[topic].add(_kind(topic, message))
    assert seen == {
        "events.inbox": {"SubmittedEvent"},
        "events.log": {"LoggedEvent", "Tick"},
        "events.outcomes": {"Outcome", "Refusal", "Repeat"},
        "customers.facts": {"CustomersDecision"},
        "points.facts": {"PointsDecision"},
    }


def _kind(topic: str, message: Message) -> str:
    """The one kind of the channel that the message is; fails where it is none."""
    headers, value = text_headers(message.headers()), json.loads(message.value() or b"")
    wrong: dict[str, str] = {}
    for name in DOCUMENT["channels"][topic]["messages"]:
        described = DOCUMENT["components"]["messages"][name]
        try:
            _validate(described["headers"], headers)
            unknown = headers.keys() - described["headers"]["properties"].keys()
            assert not unknown, f"headers that nobody described: {sorted(unknown)}"
            _validate(described["payload"], value)
        except (jsonschema.ValidationError, AssertionError) as error:
            wrong[name] = str(error)[:300]
        else:
            if (name == "Tick") == (
                headers["ce_type"] == "tick" if "ce_type" in headers else False
            ):
                return str(name)
    raise AssertionError(f"{topic}: {headers} {value}: {wrong}")


def _validate(schema: dict[str, Any], value: object) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    if "$ref" in schema:  # in draft 7 nothing beside a reference counts
        whole = {"allOf": [schema], "components": DOCUMENT["components"]}
    jsonschema.Draft7Validator(whole, format_checker=checker).validate(value)


def _messages(stack: Stack, topics: list[str]) -> Iterator[tuple[str, Message]]:
    """All that the topics hold now, from their beginnings."""
    settings = stack.settings
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_servers,
            "group.id": f"reads-{uuid4().hex}",
            "enable.auto.commit": False,
        }
    )
    places = [
        TopicPartition(settings.topic(topic), partition, 0)
        for topic in topics
        for partition in range(settings.partitions)
    ]
    left = sum(consumer.get_watermark_offsets(place, timeout=READ_SECONDS)[1] for place in places)
    consumer.assign(places)
    deadline = time.monotonic() + READ_SECONDS
    while left > 0:
        assert time.monotonic() < deadline, f"{left} messages did not come"
        message = consumer.poll(1.0)
        if message is None:
            continue
        assert message.error() is None, message.error()
        yield str(message.topic()).removeprefix(f"{settings.namespace}."), message
        left -= 1
    consumer.close()


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for member in node.values() for found in _references(member)]
    if isinstance(node, list):
        return [found for member in node for found in _references(member)]
    return []
