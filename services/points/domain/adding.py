"""Adding: points given by hand, and the lot that every earning makes."""

from datetime import UTC, datetime
from typing import cast

from services.points.domain.access import Opened, open_account
from services.points.domain.accounts import within_limit
from services.points.domain.customers import CustomerPoints
from services.points.domain.program import Program
from shared.contracts.decisions import Decision, accepted, refused
from shared.contracts.events import Event, PointAdd
from shared.contracts.facts import PointsEarned


def decide_add(event: Event, state: CustomerPoints, program: Program) -> Decision:
    """`point_add`: score and spendable grow by a lot, which may name its expiry (PTS-08, PTS-11).

    Refused: standing and account (`access.py`), `balance_limit`.
    """
    data = cast(PointAdd, event.data)
    opened = open_account(event, state, program)
    if isinstance(opened, Decision):
        return opened
    earned = earn(opened, data.points, as_kept(data.expires_at), opened.account.spendable)
    return earned if isinstance(earned, Decision) else accepted(*opened.facts, earned)


def earn(
    opened: Opened, points: int, expires_at: datetime | None, spendable: int
) -> PointsEarned | Decision:
    """The fact of earning `points`, or `balance_limit`. `spendable` is what is there just before; a
    debt takes its part of the new lot at once (PTS-14).
    """
    account = opened.account
    if not within_limit(account.score + points):
        return refused("balance_limit", account=account.id)
    return PointsEarned(account.id, points, expires_at, debt_paid=min(points, max(0, -spendable)))


def as_kept(instant: datetime | None) -> datetime | None:
    """In UTC and whole milliseconds: what the database keeps, so that memory says the same."""
    if instant is None:
        return None
    return instant.astimezone(UTC).replace(microsecond=instant.microsecond // 1000 * 1000)
