"""Decisions: what an owner made of an event, and the number that says where it stands."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Outcome = Literal["accepted", "refused", "followed"]

ORDINAL_BITS = 16
SEQ_BITS = 37
PARTITION_SHIFT = ORDINAL_BITS + SEQ_BITS


class Decision(Struct, frozen=True, gc=False):
    """`accepted` with facts, `refused` with a code, or `followed`: another service owns the event,
    but it changed our state."""

    outcome: Outcome
    facts: tuple[Struct, ...] = ()
    code: str = ""
    details: Mapping[str, object] = {}
    """Members that the refusal's problem carries besides its code."""
    answer: Mapping[str, object] = {}
    """Members that the client's outcome shows instead of this decision's own (a repeated checkout
    under a new event id answers with the first one's facts; nothing is folded again)."""


def accepted(*facts: Struct) -> Decision:
    """The event holds, and made these facts true."""
    return Decision("accepted", facts)


def refused(code: str, **details: object) -> Decision:
    """The event is a valid message, but a rule says no; nothing changes (codes: `problems`)."""
    return Decision("refused", code=code, details=details)


def followed(*facts: Struct) -> Decision:
    """Another owner's event changed our state."""
    return Decision("followed", facts)


def number(partition: int, seq: int, ordinal: int = 0) -> int:
    """The decision's id: int64, ordered as the partition's log; found from a log position alone."""
    return partition << PARTITION_SHIFT | seq << ORDINAL_BITS | ordinal


def place(decision: int) -> tuple[int, int]:
    """A decision's id → (partition, seq)."""
    return decision >> PARTITION_SHIFT, decision >> ORDINAL_BITS & (1 << SEQ_BITS) - 1


def position(partition: int, seq: int) -> str:
    """What clients pass to `?after=`: `"3-1041"`."""
    return f"{partition}-{seq}"
