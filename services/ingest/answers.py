"""What a client gets for an event: an outcome, a queued answer, a problem; alone or in a batch."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.responses import Response

from services.ingest.domain.refusal import Refusal
from shared.contracts.problems import problem
from shared.runtime.http import body_invalid, problem_response

NOT_ACKNOWLEDGED = (
    "The event was not acknowledged and may or may not be taken: send it again with this id."
)
_DETAILS = {"unavailable": NOT_ACKNOWLEDGED}
_encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """`status` is HTTP's (200 outcome, 202 queued, else a problem's), `body` is JSON."""

    status: int
    body: bytes


def queued(event_id: str) -> Answer:
    """On the inbox; the outcome is not known yet."""
    return Answer(202, _encode({"id": event_id, "status": "queued"}))


def failed(code: str, event_id: str) -> Answer:
    """The event did not get onto the inbox, as far as is known."""
    return of_problem(problem(code, _DETAILS.get(code, ""), id=event_id))


def refused(refusal: Refusal) -> Answer:
    """The door's own refusal; with `id` where the event has one."""
    members: dict[str, object] = {} if refusal.id is None else {"id": refusal.id}
    if refusal.code == "body_invalid":
        found = body_invalid(*refusal.faults)
        return of_problem(problem(found.code, found.detail, **found.members, **members))
    return of_problem(problem(refusal.code, refusal.detail, **members))


def of_problem(body: Mapping[str, Any]) -> Answer:
    """RFC 9457 members, as `problem` makes them."""
    return Answer(body["status"], _encode(body))


def response(answer: Answer, headers: Mapping[str, str]) -> Response:
    """One event's answer as the whole answer."""
    if answer.status >= 400:
        return problem_response(msgspec.json.decode(answer.body), headers)
    return Response(answer.body, answer.status, dict(headers), "application/json")


def batch_response(answers: Sequence[Answer], status: int, headers: Mapping[str, str]) -> Response:
    """Every event's answer, in order, and how many are problems."""
    body = {
        "total": len(answers),
        "errors": sum(answer.status >= 400 for answer in answers),
        "items": [msgspec.Raw(answer.body) for answer in answers],
    }
    return Response(_encode(body), status, dict(headers), "application/json")
