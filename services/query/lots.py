"""Lots as reads show them: what of them is used, their label, what is due (EXP-01 to EXP-06)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from shared.contracts.program import Settings

Label = Literal["EXHAUSTED", "EXPIRED", "EXPIRING"]


class LotId(NamedTuple):
    """A lot of a customer: what earned it, its place among the lots of that event, its account."""

    event: str
    n: int
    account: str


@dataclass(frozen=True, slots=True)
class Lot:
    """Points: earned, used, held by reservations, lapsed; `expires_at` is `None` for never."""

    points: int
    used: int
    held: int
    expired: int
    expires_at: datetime | None

    @property
    def free(self) -> int:
        """What a spend could take and an expiry would take: a held point does not expire."""
        return self.points - self.used - self.held - self.expired


def next_run(now: datetime, settings: Settings) -> datetime | None:
    """When points are expired next (`expiration_run` in program time); `None`: they never are.

    In a spring gap the run is as late as the clocks jumped; a repeated hour counts once.
    """
    if "expiring_points" not in settings.modules:
        return None
    zone = ZoneInfo(settings.time_zone)
    today = now.astimezone(zone).date()
    at = time.fromisoformat(settings.expiration_run)
    runs = (datetime.combine(today + timedelta(days), at, zone) for days in range(3))
    return next(run for each in runs if (run := each.astimezone(UTC)) > now)


def label(lots: Iterable[Lot], run: datetime | None) -> Label | None:
    """The label of what one event earned; `run` is `next_run` (Part 5: no module, no labels).

    Anything lapsed: `EXPIRED`; all used: `EXHAUSTED`; something will lapse by `run`: `EXPIRING`.
    """
    lots = list(lots)
    if run is None or not lots:
        return None
    if any(lot.expired for lot in lots):
        return "EXPIRED"
    if all(lot.used >= lot.points for lot in lots):
        return "EXHAUSTED"
    return "EXPIRING" if lapsing(lots, run) else None


def lapsing(lots: Iterable[Lot], until: datetime) -> int:
    """Points that an expiry at `until` would take."""
    return sum(lot.free for lot in lots if lot.expires_at is not None and lot.expires_at <= until)
