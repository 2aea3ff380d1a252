"""Why an event is not taken: a value with a code, never an exception."""

from dataclasses import dataclass
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Names and indexes from the event down to the member."""


class Fault(NamedTuple):
    """One thing that is wrong: `detail` ends a sentence that begins with the member's pointer."""

    path: Path
    detail: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """`code` of `problems.KINDS`; `faults` for `body_invalid`; `id` where the event has one."""

    code: str
    detail: str = ""
    faults: tuple[Fault, ...] = ()
    id: str | None = None


def invalid(*found: Fault, event_id: str | None = None) -> Refusal:
    """422 `body_invalid`: each fault with the path of the member that it is about."""
    return Refusal("body_invalid", faults=found, id=event_id)
