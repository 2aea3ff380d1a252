"""Accounts: the balances of one account of one customer, in points."""

from datetime import datetime

from msgspec import Struct

from services.points.domain.lots import NONE, Lots
from shared.contracts.events import INTEGER_END


class Account(Struct, frozen=True, gc=False):
    """`score` was ever earned, `made` counts the lots ever made, `due` is the earliest expiry of
    the open ones. Lots are the part of it that is usually not loaded (`lots.py`).
    """

    id: str
    score: int = 0
    spent: int = 0
    pending: int = 0
    reserved: int = 0
    expired: int = 0
    made: int = 0
    due: datetime | None = None
    lots: Lots = NONE

    @property
    def spendable(self) -> int:
        """Negative where the account is in debt (PTS-14)."""
        return self.score - self.spent - self.expired - self.reserved

    def with_lots(self, lots: Lots) -> "Account":
        """Knowing other lots of it, all else the same."""
        return Account(
            self.id,
            self.score,
            self.spent,
            self.pending,
            self.reserved,
            self.expired,
            self.made,
            self.due,
            lots,
        )


def within_limit(*balances: int) -> bool:
    """Whether every reader of JSON can hold these exactly (API.md: points are below 2^53)."""
    return max(balances) < INTEGER_END and min(balances) > -INTEGER_END
