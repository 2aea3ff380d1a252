"""The state of points for one customer: standing, accounts, the checkouts that a batch asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.points.domain import lots
from services.points.domain.accounts import Account
from services.points.domain.lots import Lot
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

    def differs_from(self, before: "CustomerPoints") -> bool:
        """Whether there is something to store; a checkout that moved no points changes nothing."""
        return self.accounts is not before.accounts or self.standing != before.standing

    def with_lots(self, id_: str, pages: Mapping[int, tuple[Lot, ...]]) -> "CustomerPoints":
        """Knowing all open lots of one account, by page."""
        account = self.account(id_).with_lots(lots.loaded(pages))
        return CustomerPoints(
            self.standing,
            self.generation,
            self.since,
            {**self.accounts, id_: account},
            self.checkouts,
        )

    def with_checkouts(self, checkouts: Mapping[str, FirstCheckout]) -> "CustomerPoints":
        """Knowing these transaction ids beside those it knows."""
        return CustomerPoints(
            self.standing,
            self.generation,
            self.since,
            self.accounts,
            {**self.checkouts, **checkouts},
        )

    def stored(self, *, lots_kept_max: int) -> "CustomerPoints":
        """What stays known once all of it is written (see `lots.stored`)."""
        accounts = {
            id_: account.with_lots(lots.stored(account.lots, kept_max=lots_kept_max))
            for id_, account in self.accounts.items()
        }
        return CustomerPoints(self.standing, self.generation, self.since, accounts)


UNKNOWN = CustomerPoints()
