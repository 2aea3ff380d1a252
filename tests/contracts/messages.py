"""What the topics hold, held against the AsyncAPI document."""

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import jsonschema
from confluent_kafka import Consumer, Message, TopicPartition

from deploy.contracts import FOLDER
from shared.runtime.messages import text_headers
from tests.running import Stack

DOCUMENT: dict[str, Any] = json.loads((FOLDER / "asyncapi.json").read_bytes())
READ_SECONDS = 30.0


def kind(topic: str, message: Message) -> str:
    """The one kind of the channel that the message is; fails where it is none."""
    headers, value = text_headers(message.headers()), json.loads(message.value() or b"")
    wrong: dict[str, str] = {}
    for name in DOCUMENT["channels"][topic]["messages"]:
        described = DOCUMENT["components"]["messages"][name]
        try:
            validated(described["headers"], headers)
            unknown = headers.keys() - described["headers"]["properties"].keys()
            assert not unknown, f"headers that nobody described: {sorted(unknown)}"
            validated(described["payload"], value)
        except (jsonschema.ValidationError, AssertionError) as error:
            wrong[name] = str(error)[:300]
        else:
            if (name == "Tick") == (headers.get("ce_type") == "tick"):
                return str(name)
    raise AssertionError(f"{topic}: {headers} {value}: {wrong}")


def validated(schema: dict[str, Any], value: object) -> None:
    """Raises `jsonschema.ValidationError`; references lead into the whole document."""
    whole = {**schema, "components": DOCUMENT["components"]}
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    if "$ref" in schema:  # in draft 7 nothing beside a reference counts
        whole = {"allOf": [schema], "components": DOCUMENT["components"]}
    jsonschema.Draft7Validator(whole, format_checker=checker).validate(value)


def messages(stack: Stack, topics: list[str]) -> Iterator[tuple[str, Message]]:
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
