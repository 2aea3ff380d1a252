"""The gateway's description (OpenAPI 3.1); the shapes come from the contract's own Structs."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from services.ingest.bodies import LINES
from services.ingest.domain.cloudevents import MEDIA_TYPE
from services.ingest.preferences import WAIT_SECONDS_MAX
from shared.contracts.actions import BUILT
from shared.contracts.events import BATCH_EVENTS_MAX, Envelope
from shared.contracts.export import readable, with_numbers
from shared.contracts.problems import KINDS

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_TEXT = {"type": "string"}
_EXAMPLE = {
    "id": "till-7-000123",
    "customer": "c-1001",
    "action": "checkout",
    "account": "main",
    "time": "2026-03-01T09:30:00Z",
    "data": {
        "transaction_id": "T-1",
        "total": "120.00",
        "currency": "EUR",
        "items": [{"product_id": "p1", "quantity": 2, "price": "60.00"}],
    },
}


@cache
def description() -> Mapping[str, Any]:
    """The whole document, made once."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Laurel: gateway",
            "version": "1",
            "description": "Takes customers' events. An event is decided by its owner later; "
            "`Prefer: wait` answers with the outcome.",
        },
        "security": [{"key": []}],
        "paths": {
            "/v1/events": {"post": _event()},
            "/v1/events/batch": {"post": _batch()},
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _event() -> dict[str, Any]:
    content = {
        _JSON: {"schema": _ref("Event"), "example": _EXAMPLE},
        MEDIA_TYPE: {"schema": _ref("CloudEvent")},
    }
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        "description": "The event's id where the body has none; not another one than the body's.",
    }
    return {
        "summary": "Submit one event",
        "parameters": [_PREFER, key],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": _answer("With `Prefer: wait`: the outcome", "Outcome"),
            "202": {
                **_answer("On the inbox; the outcome is at `Location`", "Queued"),
                "headers": {"Location": {"schema": {"type": "string", "format": "uri"}}},
            },
            **_problems("The event is refused; with `id` where it has one"),
        },
    }


def _batch() -> dict[str, Any]:
    content = {_JSON: {"schema": _ref("Batch")}, LINES: {"schema": _TEXT}}
    answer = _answer("One answer for each event, in order", "BatchAnswer")
    return {
        "summary": f"Submit up to {BATCH_EVENTS_MAX} events, as JSON or one a line",
        "parameters": [_PREFER],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": answer, "202": answer, **_problems("The batch as a whole is refused")},
    }


_PREFER = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string", "examples": ["wait=5"]},
    "description": f"`wait=N`: up to N seconds (1 to {WAIT_SECONDS_MAX}) for the outcome.",
}


def _answer(text: str, schema: str) -> dict[str, Any]:
    return {"description": text, "content": {_JSON: {"schema": _ref(schema)}}}


def _problems(text: str) -> dict[str, Any]:
    return {
        "default": {"description": text, "content": {_PROBLEM: {"schema": _ref("Problem")}}},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> dict[str, Any]:
    kinds = [readable(Envelope), *{owned.data for owned in BUILT.values()}]
    _, known = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas: dict[str, Any] = with_numbers(known)
    event = schemas.pop("Envelope")
    event["properties"]["action"] = {"type": "string", "enum": sorted(BUILT)}
    event["properties"]["data"] = {
        "description": "By action: "
        + ", ".join(f"{action} {owned.data.__name__}" for action, owned in sorted(BUILT.items())),
        "anyOf": [_ref(name) for name in sorted({owned.data.__name__ for owned in BUILT.values()})],
    }
    return {**schemas, "Event": {**event, "title": "Event"}, **_ANSWERS, "CloudEvent": _CLOUDEVENT}


_CLOUDEVENT = {
    "type": "object",
    "description": "`type` is the action, `subject` the customer; `account` an extension.",
    "required": ["specversion", "type", "subject"],
    "properties": {
        "specversion": {"const": "1.0"},
        **dict.fromkeys(("id", "type", "subject", "time", "source", "account"), _TEXT),
        "data": {"type": "object"},
    },
}
_ANSWERS: dict[str, Any] = {
    "Queued": {
        "type": "object",
        "required": ["id", "status"],
        "properties": {"id": _TEXT, "status": {"const": "queued"}},
    },
    "Outcome": {
        "type": "object",
        "required": ["id", "status", "customer", "action", "recorded_at", "time", "facts"],
        "properties": {
            "id": _TEXT,
            "status": {"const": "accepted"},
            "customer": _TEXT,
            "action": _TEXT,
            "recorded_at": {"type": "string", "format": "date-time"},
            "time": {"type": "string", "format": "date-time"},
            "duplicate": {"type": "boolean"},
            "pending": {"type": "boolean"},
            "position": {"type": "string", "description": "For `?after=` of the query service"},
            "facts": {"type": "array", "items": {"type": "object"}},
            "balances": {"type": "object"},
        },
    },
    "Problem": {
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status", "detail", "code", "retryable"],
        "properties": {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "code": {"type": "string", "enum": sorted(KINDS)},
            "retryable": {"type": "boolean"},
            "id": {"type": "string", "description": "The event's, where it has one"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"pointer": _TEXT, "detail": _TEXT},
                },
            },
        },
    },
    "Batch": {
        "type": "object",
        "additionalProperties": False,
        "required": ["events"],
        "properties": {
            "events": {
                "type": "array",
                "items": _ref("Event"),
                "minItems": 1,
                "maxItems": BATCH_EVENTS_MAX,
            }
        },
    },
    "BatchAnswer": {
        "type": "object",
        "required": ["total", "errors", "items"],
        "properties": {
            "total": {"type": "integer"},
            "errors": {"type": "integer", "description": "How many items are problems"},
            "items": {
                "type": "array",
                "items": {"anyOf": [_ref("Outcome"), _ref("Queued"), _ref("Problem")]},
            },
        },
    },
}
