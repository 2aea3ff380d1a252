"""The sequence of one partition: numbers, stamps that never go back, and the chain of hashes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.contracts.outcomes import instant

TIME_BACK_MAX = timedelta(days=400)
TIME_AHEAD_MAX = timedelta(minutes=5)
"""How far a client's own time may lie from ours (DESIGN section 5); beyond it is clamped."""
TICK = timedelta(minutes=1)
GENESIS = bytes(32)
"""The hash before a partition's first batch."""


@dataclass(slots=True)
class Sequence:
    """Where a partition's log stands: moved event by event within a batch, kept in the cursor.

    `recorded_at` is the last stamp, `ticked` the last tick's `as_of`; both `None` before the first.
    """

    partition: int
    seq: int = 0
    recorded_at: datetime | None = None
    ticked: datetime | None = None
    hash: bytes = GENESIS

    def take(self) -> int:
        """The next number: dense, from 1."""
        self.seq += 1
        return self.seq

    def stamp(self, now: datetime) -> datetime:
        """`now`, or the last stamp where the clock went back."""
        if self.recorded_at is None or now > self.recorded_at:
            self.recorded_at = now
        return self.recorded_at

    def due_tick(self, now: datetime) -> datetime | None:
        """The tick that is due: the present minute, unless it has ticked; one, after any pause."""
        minute = now.replace(second=0, microsecond=0)
        return minute if self.ticked is None or minute > self.ticked else None


def tick_id(partition: int, as_of: datetime) -> str:
    """The event id of a tick: one for each minute and partition."""
    return f"~tick:{partition}:{instant(as_of)}"


def milliseconds(moment: datetime) -> datetime:
    """What MongoDB and the wire can hold: UTC, whole milliseconds."""
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def clamp(time: datetime | None, recorded_at: datetime) -> datetime:
    """When the event happened: the client's time within the window, else `recorded_at`."""
    if time is None:
        return recorded_at
    return max(recorded_at - TIME_BACK_MAX, min(time, recorded_at + TIME_AHEAD_MAX))


def record(event: Mapping[str, Any]) -> bytes:
    """An event's stored members as bytes to hash, what the chain proves, in this order.

    No member can hold a NUL, so no two events share a record.
    """
    return "\0".join(
        (
            event["id"],
            event["tenant"],
            event["customer"],
            event["action"],
            str(event["partition"]),
            str(event["seq"]),
            instant(event["at"]),
            instant(event["time"]),
            str(event["program"]),
            event["content"],
            event["source"],
            event.get("cause", ""),
            str(event["hops"]),
            event["body"],
        )
    ).encode()


def chained(previous: bytes, records: list[bytes]) -> bytes:
    """A batch's hash: SHA-256 over the hash before it and its records, each with its length."""
    digest = hashlib.sha256(previous)
    for item in records:
        digest.update(len(item).to_bytes(8, "big"))
        digest.update(item)
    return digest.digest()
