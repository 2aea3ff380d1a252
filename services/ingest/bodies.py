"""Request bodies of the door: one event, a CloudEvent, a batch, or lines of events."""

from typing import Any

from services.ingest.domain import cloudevents, strict
from services.ingest.domain.bounds import OutOfBounds
from services.ingest.domain.refusal import Fault, Refusal, invalid
from shared.contracts.events import BATCH_EVENTS_MAX
from shared.runtime.http import Problem, body_invalid

LINES = "application/x-ndjson"
"""The media type of a batch that is one event a line."""


def decode(body: bytes) -> Any:
    """Strict JSON. Raises `Problem`: `not_json`, or `body_invalid` for a number or depth that no
    reader is asked to bear."""
    try:
        return strict.decode(body)
    except strict.NotJson as error:
        raise Problem("not_json", str(error)) from error
    except OutOfBounds as error:
        raise body_invalid((error.path, str(error))) from error


def batch_of(body: bytes, media_type: str) -> list[Any]:
    """The events of a batch, a `Refusal` for a line that is no JSON. Raises `Problem`."""
    events = _lines(body) if media_type == LINES else _listed(decode(body))
    if not events:
        raise body_invalid((("events",), "is empty"))
    if len(events) > BATCH_EVENTS_MAX:
        raise body_invalid((("events",), f"has more than {BATCH_EVENTS_MAX} events"))
    return events


def _listed(batch: object) -> list[Any]:
    if not isinstance(batch, dict):
        raise body_invalid(((), "must be an object"))
    unknown = [name for name in batch if name != "events"]
    if unknown:
        raise body_invalid(*(((name,), "is no known member") for name in unknown))
    events = batch.get("events")
    if not isinstance(events, list):
        raise body_invalid((("events",), "is required and must be a list"))
    return events


def _lines(body: bytes) -> list[Any]:
    """Blank lines count for nothing; more lines than a batch may have are not read."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    return [_line(line) for line in lines[: BATCH_EVENTS_MAX + 1]]


def _line(line: bytes) -> Any:
    try:
        return strict.decode(line)
    except strict.NotJson as error:
        return Refusal("not_json", str(error))
    except OutOfBounds as error:
        return invalid(Fault(error.path, str(error)))


def media_type(content_type: str) -> str:
    """`Application/JSON; charset=utf-8` → `application/json`."""
    return content_type.partition(";")[0].strip().lower()


def event_of(body: bytes, kind: str) -> Any:
    """One event's members, or the `Refusal` of a CloudEvent that is none. Raises `Problem`."""
    members = decode(body)
    return cloudevents.read(members) if kind == cloudevents.MEDIA_TYPE else members
