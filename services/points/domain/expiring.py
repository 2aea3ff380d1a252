"""Expiring: every decision on an account first lets its due lots go (DESIGN section 5)."""

from datetime import datetime

from services.points.domain import evolve, lots
from services.points.domain.accounts import Account
from shared.contracts.facts import PointsExpired


def expire_due(account: Account, now: datetime) -> tuple[Account, tuple[PointsExpired, ...]]:
    """The account without the lots whose expiry is not after `now`, and the fact that says so."""
    if account.due is None or account.due > now:
        return account, ()
    uses = lots.due(account.lots, now)
    fact = PointsExpired(account.id, sum(use.points for use in uses), uses)
    return evolve.expired(account, fact), (fact,)
