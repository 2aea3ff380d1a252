"""Defects, each the lack of one of the design's devices: the fault tests find them all."""

import asyncio
import os
from collections.abc import Callable, Sequence

from services.ingest.domain import admission
from services.ingest.producing import Outgoing, Producing, Sending
from shared.runtime.mongo import MongoTransaction, moved_fields
from shared.runtime.ports import Cursor
from shared.runtime.projector import Projector


def position_outside_the_transaction() -> None:
    """The position is written for itself, before the batch: a crash in between loses the batch."""

    def move(self: MongoTransaction, before: Cursor, after: Cursor) -> bool:
        moved = self._database.cursors.update_one(
            {"_id": before.partition, "epoch": before.epoch, "batch": before.batch},
            {"$set": moved_fields(after)},
        )
        return moved.matched_count == 1

    MongoTransaction.move = move  # type: ignore[method-assign]


def no_resend() -> None:
    """A new owner goes on with what is new: what was committed but not announced is never sent."""

    def resend(self: Projector) -> None:
        self.owned.fresh.clear()

    Projector._resend = resend  # type: ignore[method-assign]


def no_dedupe() -> None:
    """Each message of the inbox is taken for a new event, whatever its id."""

    def dedupe_key(tenant: str, event_id: str) -> bytes:  # as the original
        return os.urandom(16)

    admission.dedupe_key = dedupe_key  # type: ignore[attr-defined]  # what it imported


def no_epoch_check() -> None:
    """Whoever has a decided batch writes it, also when another worker owns the partition."""

    def move(self: MongoTransaction, before: Cursor, after: Cursor) -> bool:
        self._database.cursors.update_one(
            {"_id": before.partition}, {"$set": moved_fields(after)}, session=self._session
        )
        return True

    MongoTransaction.move = move  # type: ignore[method-assign]


def acknowledged_too_early() -> None:
    """The gateway answers when an event is in its queue, not when the broker has it."""

    async def send(self: Producing, messages: Sequence[Outgoing]) -> dict[int, str]:
        sending = Sending(len(messages), asyncio.get_running_loop().create_future())
        for index, message in enumerate(messages):
            self._produce(message, sending, index)
        self._pump.hurry()
        return {}

    Producing.send = send  # type: ignore[method-assign]


MUTATIONS: dict[str, Callable[[], None]] = {
    "position_outside_the_transaction": position_outside_the_transaction,
    "no_resend": no_resend,
    "no_dedupe": no_dedupe,
    "no_epoch_check": no_epoch_check,
}
"""Of the workers: what the crash test must find."""
OF_THE_GATEWAY: dict[str, Callable[[], None]] = {"acknowledged_too_early": acknowledged_too_early}
"""What the outages must find."""
