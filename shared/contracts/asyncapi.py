"""The topics as an AsyncAPI 3 document: who sends what, under which key, with which headers."""

from typing import Any, NamedTuple

import msgspec

from shared.contracts import actions, answers, events, facts, topics
from shared.contracts.export import readable, with_numbers
from shared.contracts.topics import Topic

Schema = dict[str, Any]
PARTITIONS = 8
"""Of each topic where `LAUREL_PARTITIONS` says nothing else."""

COMMAND = "laurel"
"""The operator's command line: unparks customers, puts dead letters back."""
_DEAD_LETTER = "DeadLetter"


class Message(NamedTuple):
    """A kind of message: what it means, its headers by name (those in `optional` may be missing)
    and the schema of its value; `None`: bytes that could not be read."""

    summary: str
    headers: tuple[str, ...]
    payload: Schema | None
    optional: tuple[str, ...] = ()


class Operation(NamedTuple):
    """What one process does with one topic."""

    process: str
    action: str
    topic: Topic
    messages: tuple[str, ...]


_CLOUD_EVENT = ("ce_specversion", "ce_id", "ce_type", "ce_source")
_CUSTOMER = ("tenant", "customer")
_STAMPED = ("ce_time", "seq", "lineage", "recorded_at", "program")
_CHAINED = ("decision", "previous", "outcome")
_DEAD = ("dead_service", "dead_reason", "dead_topic", "dead_partition", "dead_offset")

HEADERS: dict[str, Schema] = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {"description": "The event's id; `tick` has one of the journal's"},
    "ce_type": {"description": "The action, or `tick`"},
    "ce_source": {"description": "The process that made the message"},
    "ce_time": {"format": "date-time", "description": "When it happened; on the inbox as sent"},
    "tenant": {"description": "Empty for a tick"},
    "customer": {"description": "Empty for a tick"},
    "content": {"pattern": "^[0-9a-f]{64}$|^$", "description": "HMAC of what was sent, in hex"},
    "hops": {
        "pattern": "^[0-9]+$",
        "description": "How many events caused one another before it; missing: none",
    },
    "cause": {"description": "The id of the event that caused it; missing or empty: none"},
    "reply_to": {
        "pattern": "^[^/]+/[0-9]+$",
        "description": "Gateway instance and who waits there",
    },
    "traceparent": {"description": "W3C trace context"},
    "seq": {"pattern": "^[0-9]+$", "description": "The place in the partition's log, without gaps"},
    "lineage": {"description": "Which log: numbers compare only within one"},
    "recorded_at": {"format": "date-time", "description": "When the journal took it"},
    "program": {
        "pattern": "^[0-9]+$",
        "description": "The version of the program it is decided by",
    },
    "decision": {"pattern": "^[0-9]+$", "description": "The number of the decision"},
    "previous": {"pattern": "^[0-9]+$", "description": "The number before it in the partition"},
    "outcome": {"enum": ["accepted", "refused", "followed"]},
    "dead_service": {"description": "Who could not read it"},
    "dead_reason": {"description": "Why, in a sentence"},
    "dead_topic": {"description": "Where it was read"},
    "dead_partition": {"pattern": "^[0-9]+$"},
    "dead_offset": {"pattern": "^-?[0-9]+$"},
}
"""Every header there is; all are UTF-8 text. `ce_` are CloudEvents' own, in its binary mode."""


def document() -> Schema:
    """The whole document, made from the registry of topics and from the contracts' Structs."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Laurel: topics",
            "version": "1",
            "description": "Every topic has the same number of partitions and Kafka's murmur2 as "
            "partitioner, so that partition p of each holds the same customers. Addresses begin "
            "with the namespace (`LAUREL_NAMESPACE`).",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in topics.TOPICS},
        "operations": {
            f"{one.process}.{one.action}.{one.topic.name}": _operation(one) for one in OPERATIONS
        },
        "components": {
            "messages": {name: _message(name, one) for name, one in _messages().items()},
            "schemas": _schemas(),
        },
    }


def encoded() -> bytes:
    """The document as it is committed."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


def _operations() -> tuple[Operation, ...]:
    inbox, log, outcomes = topics.INBOX, topics.LOG, topics.OUTCOMES
    answered = ("Outcome", "Refusal", "Waiting")
    owners = sorted({owned.owner for owned in actions.BUILT.values()})
    own_facts = {"customers": topics.CUSTOMERS_FACTS, "points": topics.POINTS_FACTS}
    reads = {
        "gateway": (outcomes,),
        "journal": (inbox,),
        "cards": (topics.POINTS_FACTS, topics.CUSTOMERS_FACTS),
        **dict.fromkeys(owners, (log,)),
    }
    sends = [
        Operation("gateway", "send", inbox, ("SubmittedEvent",)),
        Operation(COMMAND, "send", inbox, ("SubmittedEvent",)),
        Operation("journal", "send", log, ("LoggedEvent", "Tick")),
        Operation("journal", "send", outcomes, ("Repeat", "Refusal")),
        *(Operation(one, "send", own_facts[one], _of(own_facts[one])) for one in owners),
        *(Operation(one, "send", outcomes, answered) for one in owners),
    ]
    receives = [
        Operation(process, "receive", topic, _of(topic))
        for process, read in reads.items()
        for topic in read
    ]
    buries = [
        Operation(process, "send", dead, (_DEAD_LETTER,))
        for process, read in reads.items()
        for dead in topics.TOPICS
        if dead.name in {topics.dead(topic.name) for topic in read}
    ]
    return (*sends, *receives, *buries)


_CARRIED = {
    topics.INBOX.name: ("SubmittedEvent",),
    topics.LOG.name: ("LoggedEvent", "Tick"),
    topics.OUTCOMES.name: ("Outcome", "Refusal", "Waiting", "Repeat"),
    topics.CUSTOMERS_FACTS.name: ("CustomersDecision",),
    topics.POINTS_FACTS.name: ("PointsDecision",),
}


def _of(topic: Topic) -> tuple[str, ...]:
    return _CARRIED.get(topic.name, (_DEAD_LETTER,))


OPERATIONS = _operations()


def _messages() -> dict[str, Message]:
    event, submitted = _ref("Logged"), (*_CLOUD_EVENT, *_CUSTOMER, "content", "hops")
    chained = (*_CLOUD_EVENT, *_CUSTOMER, *_STAMPED, *_CHAINED)
    caused = ("cause", "hops")
    answer = ("tenant", "ce_id", "reply_to")
    return {
        "SubmittedEvent": Message(
            "An event that the gateway has checked; repeats are possible",
            submitted,
            event,
            ("ce_time", "reply_to", "traceparent", "cause"),
        ),
        "LoggedEvent": Message(
            "An event, once, numbered and stamped",
            (*submitted, *_STAMPED),
            event,
            ("reply_to", "traceparent", "cause"),
        ),
        "Tick": Message(
            "Time as an event: each minute, in every partition",
            (*_CLOUD_EVENT, *_CUSTOMER, *_STAMPED),
            _ref("Tick"),
            ("content", "hops"),
        ),
        "CustomersDecision": Message(
            "What customers decided", chained, _ref("CustomersDecision"), caused
        ),
        "PointsDecision": Message("What points decided", chained, _ref("PointsDecision"), caused),
        "Outcome": Message("What became of an event", answer, _ref("Outcome")),
        "Refusal": Message("Why an event was refused", answer, _ref("Problem")),
        "Waiting": Message("The customer is parked: the event waits", answer, _ref("Waiting")),
        "Repeat": Message("The id is known: where the first one stands", answer, _ref("Repeat")),
        _DEAD_LETTER: Message(
            "The original bytes and headers, with why and where from", _DEAD, None
        ),
    }


def _schemas() -> dict[str, Schema]:
    kinds = [readable(events.Logged), facts.PointsFact, facts.CustomersFact]
    made, known = msgspec.json.schema_components(kinds, ref_template=_ref("{name}")["$ref"])
    points, customers = ({"anyOf": one["anyOf"]} for one in made[1:])
    any_fact = {"anyOf": [*points["anyOf"], *customers["anyOf"]]}
    # As the gateway's description shows them; of a parked event only the status differs.
    waiting = answers.queued_schema()
    waiting["properties"]["status"] = {"const": "parked"}
    return {
        **with_numbers(known),
        "PointsDecision": _decision(points, {"balances": answers.balances_schema()}),
        "CustomersDecision": _decision(customers, {"status": {"type": "string"}}),
        "Tick": _TICK,
        "Outcome": answers.outcome_schema(any_fact),
        "Problem": answers.problem_schema(),
        "Waiting": waiting,
        "Repeat": answers.repeat_schema(),
    }


_TICK: Schema = {
    "type": "object",
    "required": ["as_of", "previous", "programs"],
    "properties": {
        "as_of": {"type": "string", "format": "date-time"},
        "previous": {"type": ["string", "null"], "format": "date-time"},
        "programs": {
            "type": "object",
            "description": "The version of the program by tenant, at that moment",
            "additionalProperties": {"type": "integer"},
        },
    },
}


def _decision(fact: Schema, result: Schema) -> Schema:
    return {
        "type": "object",
        "required": ["facts"],
        "properties": {"facts": {"type": "array", "items": fact}, **result},
    }


def _channel(topic: Topic) -> Schema:
    return {
        "address": "{namespace}." + topic.name,
        "title": f"{topic.payload}, by {topic.written_by}",
        "parameters": {"namespace": {"description": "`LAUREL_NAMESPACE`", "default": "laurel"}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _of(topic)},
        "bindings": {
            "kafka": {
                "partitions": PARTITIONS,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": topic.retention_ms,
                },
                "bindingVersion": "0.5.0",
            }
        },
        "description": f"Key: {topic.key}.",
    }


def _operation(one: Operation) -> Schema:
    channel = f"#/channels/{one.topic.name}"
    return {
        "action": one.action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in one.messages],
        "tags": [{"name": one.process}],
    }


def _message(name: str, message: Message) -> Schema:
    keyed_by_instance = set(message.headers) == {"tenant", "ce_id", "reply_to"}
    key = "The gateway's instance" if keyed_by_instance else "tenant/customer"
    payload = {"payload": message.payload} if message.payload else {}
    content = "application/json" if message.payload else "application/octet-stream"
    return {
        "name": name,
        "summary": message.summary,
        "contentType": content,
        "headers": {
            "type": "object",
            "required": list(message.headers),
            "properties": {
                header: {"type": "string", **HEADERS[header]}
                for header in (*message.headers, *message.optional)
            },
        },
        **payload,
        "bindings": {
            "kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
