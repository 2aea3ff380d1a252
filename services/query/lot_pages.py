"""Lots as points stores them, open and closed ones: what is due, what became of each."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from pymongo.asynchronous.database import AsyncDatabase

from services.query.known import Known, of_tenant
from services.query.lots import Lot, LotId, lapsing
from services.query.streams import earned
from shared.contracts.lots import KeptLot
from shared.runtime.ports import Document

SAME_STATE_TRIES = 3
PAGES_ASKED_MAX = 100
"""Ranges of lot pages in one query."""
CUSTOMERS_ASKED_MAX = 1_000
STATE_FIELDS = {"tenant": 1, "customer": 1, "accounts": 1, "generation": 1}


class LotPages:
    """The collections `states`, `lots` and `closed` of points, read-only."""

    def __init__(self, points: AsyncDatabase[Document]) -> None:
        self._states = points["states"]
        self._pages = points["lots"]
        self._closed = points["closed"]

    async def due(self, customer: Known, now: datetime) -> tuple[Known, Mapping[str, int]]:
        """The customer again, and the points of due lots by account, as of one moment.

        State and pages are two reads: they belong together where the state is the same before and
        after. One that changes all the time is taken as it is after the last try.
        """
        due: dict[str, dict[str, int]] = {}
        for _ in range(SAME_STATE_TRIES):
            if not _due(customer, now):
                return customer, {}
            due = await self._due_points([customer], now)
            state = await self._states.find_one({"_id": customer.key})
            same, customer = state == customer.state, replace(customer, state=state)
            if same:
                break
        return customer, due.get(customer.key, {})

    async def due_by_customer(self, cards: Collection[Document], now: datetime) -> dict[str, int]:
        """Points of due lots by the key of a card's customer."""
        keys = [card["_id"] for card in cards]
        states = self._states.find({"_id": {"$in": keys}}, STATE_FIELDS)
        known = [Known(each["tenant"], each["customer"], None, each) async for each in states]
        due = await self._due_points(known, now)
        return {key: sum(accounts.values()) for key, accounts in due.items()}

    async def due_on(
        self, tenant: str, account: str, now: datetime
    ) -> AsyncIterator[Mapping[str, int]]:
        """Points of due lots on one account by the customer's key, some customers at a time."""
        wanted = {"_id": of_tenant(tenant), f"accounts.{account}.due": {"$lte": now}}
        known: list[Known] = []
        async for state in self._states.find(wanted, STATE_FIELDS):
            known.append(Known(state["tenant"], state["customer"], None, state))
            if len(known) == CUSTOMERS_ASKED_MAX:
                yield await self._due_on(account, known, now)
                known = []
        yield await self._due_on(account, known, now)

    async def _due_on(
        self, account: str, customers: Iterable[Known], now: datetime
    ) -> Mapping[str, int]:
        due = await self._due_points(customers, now)
        return {key: accounts[account] for key, accounts in due.items() if account in accounts}

    async def _due_points(
        self, customers: Iterable[Known], now: datetime
    ) -> dict[str, dict[str, int]]:
        wanted: list[Document] = []
        points: dict[str, dict[str, int]] = {}
        for known in customers:
            for account in _due(known, now):
                wanted.append(known.pages(account))
                lapsed = lapsing(map(_kept_lot, known.last_page(account)), now)
                if lapsed:
                    points.setdefault(known.key, {})[account] = lapsed
        for start in range(0, len(wanted), PAGES_ASKED_MAX):
            pages = {"$or": wanted[start : start + PAGES_ASKED_MAX]}
            asked = {**pages, "lots.expires_at": {"$lte": now}}
            async for page in self._pages.find(asked):
                sums = points.setdefault(page["customer"], {})
                lapsed = lapsing(map(_open_lot, page["lots"]), now)
                sums[page["account"]] = sums.get(page["account"], 0) + lapsed
        return points

    async def made_by(self, customer: Known, decisions: Iterable[Document]) -> dict[LotId, Lot]:
        """The lots that these decisions made, as they are now.

        In the order in which a lot moves, so that none is missed: from the account's state to a
        full page to the closed ones.
        """
        made = dict(lot for decision in decisions for lot in earned(decision))
        if not made:
            return {}
        events = list({id_.event for id_ in made})
        state = await self._states.find_one({"_id": customer.key})
        customer = replace(customer, state=state)
        found: dict[LotId, Lot] = {
            id_: _kept_lot(lot)
            for account in (state or {}).get("accounts", {})
            for lot in customer.last_page(account)
            if (id_ := LotId(lot.event, lot.n, account)) in made
        }
        async for page in self._pages.find({**customer.pages(), "lots.event": {"$in": events}}):
            for lot in page["lots"]:
                found[LotId(lot["event"], lot["n"], page["account"])] = _open_lot(lot)
        gone = {customer.closed(id_): id_ for id_ in made if id_ not in found}
        if gone:
            async for lot in self._closed.find({"_id": {"$in": list(gone)}}):
                id_ = gone[lot["_id"]]
                found[id_] = _closed_lot(lot, made[id_])
        return found


def _due(customer: Known, now: datetime) -> list[str]:
    """Accounts that have a lot whose date has passed."""
    accounts = (customer.state or {}).get("accounts", {})
    return [id_ for id_, account in accounts.items() if (due := account.get("due")) and due <= now]


def _open_lot(lot: Document) -> Lot:
    return Lot(lot["points"], lot["used"], lot["held"], lot.get("expired", 0), lot["expires_at"])


def _kept_lot(lot: KeptLot) -> Lot:
    return Lot(lot.points, lot.used, lot.held, 0, lot.expires_at)


def _closed_lot(lot: Document, fact: Document) -> Lot:
    return Lot(fact["points"], lot["used"], 0, lot["expired"], fact["expires_at"])
