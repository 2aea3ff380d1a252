"""The state of points for one customer: standing, accounts, the checkouts that a batch asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.points.domain.accounts import Account
from services.points.domain.transactions import FirstCheckout
from shared.contracts.standing import Standing


@dataclass(frozen=True, slots=True)
class CustomerPoints:
    """`standing` None: nobody has heard of the customer.

    `generation` grows when the customer is forgotten; what counts of the decisions begins at number
    `since`. `checkouts` holds the first checkout of those transaction ids that were asked for.
    """

    standing: Standing | None = None
    generation: int = 1
    since: int = 0
    accounts: Mapping[str, Account] = field(default_factory=dict)
    checkouts: Mapping[str, FirstCheckout] = field(default_factory=dict)

    def account(self, id_: str) -> Account:
        """One that was never touched has nothing on it."""
        return self.accounts.get(id_) or Account(id_)


UNKNOWN = CustomerPoints()
