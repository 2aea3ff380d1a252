"""CloudEvents' structured mode: its envelope to ours, and the names in our answers back to its."""

from typing import Any

from services.ingest.domain.refusal import Fault, Refusal, invalid

MEDIA_TYPE = "application/cloudevents+json"

_OURS = {
    "type": "action",
    "subject": "customer",
    "id": "id",
    "time": "time",
    "data": "data",
    "account": "account",  # an extension attribute
}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}


def read(members: object) -> dict[str, Any] | Refusal:
    """The event of a CloudEvent 1.0, without the context attributes that mean nothing to us.

    `data_base64` is refused: data of an event is JSON.
    """
    if not isinstance(members, dict):
        return invalid(Fault((), "must be an object"))
    if members.get("specversion") != "1.0":
        return invalid(Fault(("specversion",), 'must be "1.0"'))
    if "data_base64" in members:
        return invalid(Fault(("data_base64",), "is not taken: send data as JSON"))
    return {_OURS[name]: value for name, value in members.items() if name in _OURS}


def renamed(refusal: Refusal) -> Refusal:
    """The same refusal with CloudEvents' names in its faults: `/subject` for `/customer`."""
    faults = tuple(
        Fault((_THEIRS.get(str(fault.path[0]), fault.path[0]), *fault.path[1:]), fault.detail)
        if fault.path
        else fault
        for fault in refusal.faults
    )
    return Refusal(refusal.code, refusal.detail, faults, refusal.id)
