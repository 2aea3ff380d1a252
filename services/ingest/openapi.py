"""The gateway's description (OpenAPI 3.1); the shapes come from the contract's own Structs."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from services.ingest.bodies import LINES
from services.ingest.domain.cloudevents import MEDIA_TYPE
from services.ingest.preferences import WAIT_SECONDS_MAX
from shared.contracts import answers, facts
from shared.contracts.actions import BUILT
from shared.contracts.events import BATCH_EVENTS_MAX, Envelope
from shared.contracts.export import readable, with_numbers
from shared.runtime.http.description import problem_answers, problem_components

REFUSED = (400, 401, 403, 404, 409, 413, 422, 429, 500, 503)
"""With `Prefer: wait` an event's refusal is the answer: its owner's codes count too."""
REFUSED_BATCH = (400, 401, 403, 413, 422, 429, 500, 503)
"""The batch as a whole: what is wrong with one event is its item."""

_Fact = facts.PointsFact | facts.CustomersFact
_JSON = "application/json"
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
            "headers": _RATE_LIMIT,
            "responses": _refused(),
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
        "operationId": "submit_event",
        "summary": "Submit one event",
        "parameters": [_PREFER, key],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": _answer("With `Prefer: wait`: the outcome", "Outcome", _APPLIED),
            "202": _answer(
                "On the inbox; the outcome is at `Location`", "Queued", {**_APPLIED, **_LOCATION}
            ),
            **problem_answers(REFUSED),
        },
    }


def _batch() -> dict[str, Any]:
    content = {_JSON: {"schema": _ref("Batch")}, LINES: {"schema": _TEXT}}
    text = "One answer for each event, in order"
    waited, taken = _answer(text, "BatchAnswer", _APPLIED), _answer(text, "BatchAnswer")
    return {
        "operationId": "submit_batch",
        "summary": f"Submit up to {BATCH_EVENTS_MAX} events, as JSON or one a line",
        "parameters": [_PREFER],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": waited, "202": taken, **problem_answers(REFUSED_BATCH)},
    }


_PREFER = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string", "examples": ["wait=5"]},
    "description": f"`wait=N`: up to N seconds (1 to {WAIT_SECONDS_MAX}) for the outcome.",
}


_APPLIED = {
    "Preference-Applied": {"schema": _TEXT, "description": "The wait that was asked for"},
}
_RATE_LIMIT = {
    "RateLimit-Policy": {
        "schema": {"type": "string", "examples": ['"default";q=200000;w=2']},
        "description": "What this key may send: `q` events at once after a pause of `w` seconds, "
        "over time `q` in each `w`. A batch counts as all of its events, whatever becomes of them. "
        "A larger batch passes after such a pause and is paid for by a longer one.",
    },
    "RateLimit": {
        "schema": {"type": "string", "examples": ['"default";r=199999;t=1']},
        "description": "`r` events are left to this key; in `t` seconds there are more.",
    },
}
_UNLIMITED = {401, 403, 500}
"""Nobody is known yet to whom a rate applies, or nobody knows anything any more."""
_LOCATION = {"Location": {"required": True, "schema": {"type": "string", "format": "uri"}}}


def _answer(text: str, schema: str, headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    known = {**(headers or {}), **_rate_limit()}
    return {"description": text, "headers": known, "content": {_JSON: {"schema": _ref(schema)}}}


def _refused() -> dict[str, Any]:
    """Problems by name; where the key is known, they tell what it has left too."""
    answers = problem_components(REFUSED)["responses"]
    known = problem_components(set(REFUSED) - _UNLIMITED)["responses"]
    return {
        name: answer | {"headers": answer.get("headers", {}) | _rate_limit()}
        if name in known
        else answer
        for name, answer in answers.items()
    }


def _rate_limit() -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in _RATE_LIMIT}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> dict[str, Any]:
    data = {owned.data for owned in BUILT.values()}
    kinds = [readable(Envelope), *sorted(data, key=lambda kind: kind.__name__), _Fact]
    made, known = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas: dict[str, Any] = with_numbers(known)
    return {
        **schemas,
        "Event": _one_for_each_action(schemas.pop("Envelope")),
        "Outcome": answers.outcome_schema({"anyOf": made[-1]["anyOf"]}),
        **_ANSWERS,
        "CloudEvent": _CLOUDEVENT,
    }


def _one_for_each_action(envelope: dict[str, Any]) -> dict[str, Any]:
    """The envelope, and what `data` is for each action."""
    kinds = [
        {
            "title": action,
            "properties": {"action": {"const": action}, "data": _ref(owned.data.__name__)},
            **({"required": ["data"]} if _requires_something(owned.data) else {}),
        }
        for action, owned in sorted(BUILT.items())
    ]
    members = {**envelope["properties"], "action": {"enum": sorted(BUILT)}}
    return {**envelope, "title": "Event", "properties": members, "anyOf": kinds}


def _requires_something(data: type[msgspec.Struct]) -> bool:
    return any(field.required for field in msgspec.structs.fields(data))


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
    "Queued": answers.queued_schema(),
    "Problem": answers.problem_schema(),
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
