"""`?after=`: a read waits until it shows an event that the caller has seen accepted."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from pymongo.asynchronous.database import AsyncDatabase

from shared.contracts.decisions import SEQ_BITS
from shared.runtime import cancelling
from shared.runtime.http import Problem
from shared.runtime.ports import Document

AFTER_SECONDS = 5.0
POLL_SECONDS_MIN = 0.005
POLL_SECONDS_MAX = 0.02
"""An event is decided some 15 ms after it was taken: polls start fast and slow down a little."""
OWNERS = ("customers", "points")
"""The services whose collections reads join, and whose facts the cards follow."""

Databases = Mapping[str, AsyncDatabase[Document]]


class Position(NamedTuple):
    """A place in the log, as outcomes carry it."""

    partition: int
    seq: int


def parse(text: str, partitions: int) -> Position:
    """`"3-1041"` → the position. 400 `parameter_invalid` for what this log cannot have."""
    partition, _, seq = text.partition("-")
    parts = (partition, seq)
    if all(part.isascii() and part.isdecimal() and len(part) < 20 for part in parts):
        position = Position(int(partition), int(seq))
        if position.partition < partitions and position.seq < 1 << SEQ_BITS:
            return position
    raise Problem("parameter_invalid", "after is no position of this log.", parameter="after")


async def passed(position: Position, databases: Databases, *, cards: bool) -> None:
    """Until the owners have decided the event; with `cards` also until the cards show it.

    503 `unavailable` after `AFTER_SECONDS`: nothing is known to be wrong, only late.
    """
    try:
        async with asyncio.timeout(AFTER_SECONDS):
            for owner in OWNERS:
                await _decided(position, databases[owner])
            if cards:
                await _shown(position.partition, databases)
    except TimeoutError as error:
        raise Problem(
            "unavailable", f"Not yet at {position.partition}-{position.seq}; try again."
        ) from error


async def _decided(position: Position, database: AsyncDatabase[Document]) -> None:
    async def there() -> bool:
        cursor = await _cursor(database, position.partition)
        return bool(cursor.get("seen", {}).get("events_log", 0) >= position.seq)

    await until(there)


async def _shown(partition: int, databases: Databases) -> None:
    last = {
        f"{owner}_facts": (await _cursor(databases[owner], partition)).get("last", 0)
        for owner in OWNERS
    }

    async def there() -> bool:
        seen = (await _cursor(databases["query"], partition)).get("seen", {})
        return all(seen.get(topic, 0) >= number for topic, number in last.items())

    await until(there)


async def _cursor(database: AsyncDatabase[Document], partition: int) -> Document:
    return await database["cursors"].find_one({"_id": partition}, {"seen": 1, "last": 1}) or {}


async def until(there: Callable[[], Awaitable[bool]]) -> None:
    """Polls until it is so; whoever calls sets the deadline."""
    pause = POLL_SECONDS_MIN
    while not await there():
        cancelling.check()
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, POLL_SECONDS_MAX)
