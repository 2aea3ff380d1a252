"""The state of points for one customer: standing, accounts, the checkouts that a batch asks for."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from services.points.domain import lots
from services.points.domain.accounts import Account
from services.points.domain.lots import Closed, Lot
from services.points.domain.transactions import FirstCheckout
from shared.contracts.standing import Standing


class Gone(NamedTuple):
    """A closed lot, with all that names it."""

    generation: int
    account: str
    lot: Closed


class CustomerPoints(Struct, frozen=True, gc=False):
    """`standing` None: nobody has heard of the customer.

    `generation` grows when the customer is forgotten; what counts of the decisions begins at number
    `since`. `checkouts` holds the first checkout of those transaction ids that were asked for.
    `gone`: lots that were closed in generations which ended since the state was last stored.
    """

    standing: Standing | None = None
    generation: int = 1
    since: int = 0
    accounts: Mapping[str, Account] = {}
    checkouts: Mapping[str, FirstCheckout] = {}
    gone: tuple[Gone, ...] = ()

    def account(self, id_: str) -> Account:
        """One that was never touched has nothing on it."""
        return self.accounts.get(id_) or Account(id_)

    def differs_from(self, before: "CustomerPoints") -> bool:
        """Whether there is something to store; a checkout that moved no points changes nothing."""
        return self.accounts is not before.accounts or self.standing != before.standing

    def closed(self) -> Iterator[Gone]:
        """All lots that left since the state was last stored."""
        yield from self.gone
        for account in self.accounts.values():
            for lot in account.lots.closed:
                yield Gone(self.generation, account.id, lot)

    def with_lots(self, id_: str, pages: Mapping[int, tuple[Lot, ...]]) -> "CustomerPoints":
        """Knowing all open lots of one account; `pages` are its full ones."""
        account = self.account(id_)
        account = account.with_lots(lots.loaded(account.lots, pages))
        return replace(self, accounts={**self.accounts, id_: account})

    def with_checkouts(self, checkouts: Mapping[str, FirstCheckout]) -> "CustomerPoints":
        """Knowing these transaction ids beside those it knows."""
        return CustomerPoints(
            self.standing,
            self.generation,
            self.since,
            self.accounts,
            {**self.checkouts, **checkouts},
            self.gone,
        )

    def stored(self, *, lots_kept_max: int) -> "CustomerPoints":
        """What stays known once all of it is written (see `lots.stored`)."""
        accounts = {
            id_: account.with_lots(
                lots.stored(account.lots, account.made, account.due, kept_max=lots_kept_max)
            )
            for id_, account in self.accounts.items()
        }
        return CustomerPoints(self.standing, self.generation, self.since, accounts)


UNKNOWN = CustomerPoints()
