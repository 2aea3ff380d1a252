"""What becomes of an event as JSON Schema: outcomes, problems, and what waits (API.md)."""

from collections.abc import Mapping
from typing import Any

from shared.contracts.problems import KINDS

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_INSTANT: Schema = {"type": "string", "format": "date-time"}
_POINTS: Schema = {"type": "integer"}


def problem_schema() -> Schema:
    """RFC 9457 with every code that exists; a refusal may carry members of its own besides."""
    return {
        "type": "object",
        "description": "RFC 9457. `code` is stable; `retryable`: the same under a new id may work.",
        "required": ["type", "title", "status", "detail", "code", "retryable"],
        "properties": {
            "type": {"type": "string", "pattern": "^urn:laurel:problem:[a-z_]+$"},
            "title": _TEXT,
            "status": {"type": "integer", "enum": sorted({kind.status for kind in KINDS.values()})},
            "detail": _TEXT,
            "code": {"type": "string", "enum": sorted(KINDS)},
            "retryable": {"type": "boolean"},
            "id": {"type": "string", "description": "The event's, where it has one"},
            "duplicate": {"type": "boolean", "description": "Told before, under the same id"},
            "errors": {
                "type": "array",
                "description": "What is wrong where in the body",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": {"type": "string", "description": "A JSON Pointer"},
                        "detail": _TEXT,
                    },
                },
            },
        },
    }


def queued_schema() -> Schema:
    """What a 202 says: on the inbox, or waiting since the customer is parked."""
    return {
        "type": "object",
        "required": ["id", "status"],
        "properties": {
            "id": _TEXT,
            "status": {
                "enum": ["queued", "parked"],
                "description": "`parked`: the customer's events wait for an operator",
            },
            "position": _POSITION,
        },
    }


def outcome_schema(fact: Schema) -> Schema:
    """An accepted event; `fact` is the schema of one of its facts."""
    return {
        "type": "object",
        "required": [
            *("id", "status", "customer", "action", "recorded_at", "time"),
            *("duplicate", "pending", "position", "facts"),
        ],
        "properties": {
            "id": _TEXT,
            "status": {"const": "accepted"},
            "customer": _TEXT,
            "action": _TEXT,
            "recorded_at": _INSTANT,
            "time": _INSTANT,
            "duplicate": {"type": "boolean", "description": "Decided before, under the same id"},
            "pending": {"type": "boolean", "description": "A second step follows"},
            "position": _POSITION,
            "facts": {"type": "array", "items": fact},
            "balances": balances_schema(),
        },
    }


def balances_schema() -> Schema:
    """By account: what the event touched, after it."""
    members = ("score", "spent", "pending", "reserved", "expired", "spendable")
    return {
        "type": "object",
        "description": "The accounts that the event touched, after it",
        "additionalProperties": {
            "type": "object",
            "required": list(members),
            "properties": dict.fromkeys(members, _POINTS),
        },
    }


def repeat_schema() -> Schema:
    """What the journal announces for a repeat: where the first one stands; its outcome follows."""
    return {
        "type": "object",
        "required": ["id", "repeat_of"],
        "properties": {
            "id": _TEXT,
            "repeat_of": {
                "type": "object",
                "required": ["partition", "seq"],
                "properties": {"partition": _POINTS, "seq": _POINTS},
            },
        },
    }


def codes_of(status: int) -> Mapping[str, str]:
    """The codes that come with an HTTP status, and what they mean."""
    return {code: kind.title for code, kind in KINDS.items() if kind.status == status}


_POSITION: Schema = {
    "type": "string",
    "pattern": "^[0-9]+-[0-9]+$",
    "description": "Where the event stands in the log: for `?after=` of the query service",
}
