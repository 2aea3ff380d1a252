"""What customers still have on an account: the query service is asked, as whoever asks us."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2
import structlog

from shared.runtime.http import Problem

ASKED_SECONDS = 20.0
"""More than the query service takes at most: 5 s to settle, 10 s to add up."""

Headers = Mapping[bytes, bytes]


class Totals:
    """A client of the query service; its connections are kept while it is open."""

    def __init__(self, query_url: str) -> None:
        self._http = httpx2.AsyncClient(base_url=query_url, timeout=ASKED_SECONDS, trust_env=False)
        self._log = structlog.get_logger().bind(service="program")

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def must_be_zero(self, account: str, authorization: bytes) -> None:
        """Returns where nobody has anything on the account, and nobody can get anything.

        409 `account_in_use` with the totals, counted by customer: a debt does not make up for
        another's points. A customer that is parked may hold an event on this account which was
        recorded while it was active. 503 `unavailable` where nobody could tell.
        """
        totals = await self._totals(account, authorization)
        if totals["customers"] or totals["parked"]:
            raise Problem("account_in_use", _in_words(account, totals), totals=totals)

    async def _totals(self, account: str, authorization: bytes) -> dict[str, Any]:
        path = f"/v1/accounts/{quote(account, safe='')}/totals"
        try:
            answer = await self._http.get(path, headers=[(b"authorization", authorization)])
        except httpx2.TransportError as error:
            self._log.warning("query_away", error=type(error).__name__)
            raise _untold() from error
        if answer.status_code != 200:
            self._log.warning("query_refuses", status=answer.status_code)
            raise _untold()
        totals: dict[str, Any] = answer.json()
        return totals


def _untold() -> Problem:
    detail = "The query service could not tell whether customers have points on it."
    return Problem("unavailable", f"{detail} Nothing was changed.")


def _in_words(account: str, totals: Mapping[str, Any]) -> str:
    if not totals["customers"]:
        return f"Parked customers, with events not yet decided: {totals['parked']}; unpark them."
    return (
        f"Customers with something on {account}: {totals['customers']} ({totals['spendable']} "
        f"spendable, {totals['pending']} pending, {totals['reserved']} reserved in all)."
    )
