"""Totals of one account over all customers of a tenant."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from services.query.answers import AccountTotals
from services.query.cards import TOTALS
from services.query.lot_pages import LotPages
from services.query.lots import next_run
from services.query.repository import Repository
from shared.runtime.http import Problem

OPEN = ("spendable", "pending", "reserved")
"""What a customer has now; score, spent and expired tell only how it came about."""
TOTALS_SECONDS = 10.0


class Totals:
    """Adds the cards up, once they are `settled`: an event that was taken before is in them.

    `now`: lots that are due at this instant are gone, as in every read.
    """

    def __init__(
        self,
        repository: Repository,
        now: Callable[[], datetime],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        self._repository = repository
        self._settled = settled
        self._lots = LotPages(repository.databases["points"])
        self._now = now

    async def of(self, tenant: str, account: str) -> AccountTotals:
        """`GET /v1/accounts/{id}/totals`. 404 `account_unknown`; 503 after `TOTALS_SECONDS`."""
        program = await self._repository.program(tenant)
        if account not in program.accounts:
            raise Problem("account_unknown", f"There is no account {account}.")
        await self._settled()
        try:
            async with asyncio.timeout(TOTALS_SECONDS):
                totals = await self._repository.totals(tenant, account, OPEN)
                if next_run(self._now(), program.settings) is not None:
                    await self._lapse(tenant, account, totals)
                parked = await self._repository.count_parked(tenant)
        except TimeoutError as error:
            detail = f"The cards could not be added up within {TOTALS_SECONDS:g} s."
            raise Problem("unavailable", detail) from error
        return AccountTotals(account=account, parked=parked, **totals)

    async def _lapse(self, tenant: str, account: str, totals: dict[str, int]) -> None:
        """Takes out what is due, and who has nothing else."""
        async for due in self._lots.due_on(tenant, account, self._now()):
            for card in await self._repository.cards_of(due):
                balance = card["accounts"].get(account, dict.fromkeys(TOTALS, 0))
                points = due[card["_id"]]
                after = {**balance, "spendable": balance["spendable"] - points}
                totals["spendable"] -= points
                totals["customers"] += _is_open(after) - _is_open(balance)


def _is_open(balance: Mapping[str, int]) -> bool:
    return any(balance[name] for name in OPEN)
