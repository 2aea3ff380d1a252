"""The AsyncAPI document: as the code makes it, valid, and wired as the workers are."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from deploy.contracts import FOLDER
from deploy.local.programs import SERVICES
from services.customers.app import CUSTOMERS
from services.ingest.app import JOURNAL
from services.points.app import POINTS
from services.query.app import CARDS
from shared.contracts import asyncapi
from shared.contracts.topics import TOPICS
from shared.runtime.messages import Tick
from tests.contracts.messages import DOCUMENT
from tests.contracts.official import asyncapi_schema

WORKERS = {"journal": JOURNAL, "customers": CUSTOMERS, "points": POINTS, "cards": CARDS}


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


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for member in node.values() for found in _references(member)]
    if isinstance(node, list):
        return [found for member in node for found in _references(member)]
    return []
