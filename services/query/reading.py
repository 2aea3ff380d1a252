"""What the paths of events and customers read: from the parameters to the answer."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.query import paging, streams, views
from services.query.answers import Customer, CustomerRow, EventRow, HistoryRow, Listed
from services.query.asking import CustomersAsked, EventsAsked, HistoryAsked
from services.query.known import Known
from services.query.listing import List, Number
from services.query.lot_pages import LotPages
from services.query.lots import Lot, LotId, next_run
from services.query.repository import Repository
from shared.runtime.http import Problem
from shared.runtime.ports import Document

Now = Callable[[], datetime]


class About(NamedTuple):
    """What rows show besides their decisions."""

    stored: Mapping[str, streams.Stored]
    lots: Mapping[LotId, Lot]
    run: datetime | None

    def event_row(self, decision: Document) -> EventRow:
        """The decision as a row of the stream."""
        return streams.event_row(decision, self._event(decision), self.lots, self.run)

    def history_rows(self, decision: Document) -> list[HistoryRow]:
        """The decision as rows of the points history."""
        return streams.history_rows(decision, self._event(decision), self.lots, self.run)

    def _event(self, decision: Document) -> streams.Stored:
        return self.stored.get(decision["event"], streams.NOT_STORED)


class Reading:
    """Reads of customers and events. `now`: lots that are due at this instant are gone."""

    def __init__(self, repository: Repository, now: Now) -> None:
        self._repository = repository
        self._lots = LotPages(repository.databases["points"])
        self._now = now
        self._points = repository.decisions("points")
        self._owners = [repository.decisions("customers"), self._points]

    async def event(self, tenant: str, id_: str) -> Mapping[str, object]:
        """`GET /v1/events/{id}`."""
        event = await self._repository.event(tenant, id_)
        if event is None:
            raise Problem("not_found", "There is no event of this id.")
        return views.event_answer(id_, await self._repository.decision(event))

    async def customers(self, tenant: str, asked: CustomersAsked) -> Listed[CustomerRow]:
        """`GET /v1/customers`, from the cards."""
        list_, sort = List(tenant, "customers", asked), paging.Sort.parse(asked.sort)
        by_text = sort.by in ("id", "status")
        place = list_.place(tuple[str, str]) if by_text else list_.place(tuple[Number, str])
        match = cards_asked(tenant, asked)
        cards = await self._repository.cards(match, sort, place, asked.limit + 1)
        total = await list_.total(lambda: self._repository.count_cards(match))
        shown = cards[: asked.limit]
        now = self._now()
        lapse = await self._run(tenant, now) is not None
        due = await self._lots.due_by_customer(shown, now) if lapse else {}
        rows = [views.customer_row(card, due.get(card["_id"], 0)) for card in shown]
        last = (shown[-1][sort.by], shown[-1]["id"]) if len(cards) > len(shown) else None
        return list_.page(rows, last, total)

    async def customer(self, tenant: str, id_: str) -> Customer:
        """`GET /v1/customers/{id}`."""
        known = await self._repository.known(tenant, id_)
        program = await self._repository.program(tenant)
        now = self._now()
        due: Mapping[str, int] = {}
        if next_run(now, program.settings) is not None:
            known, due = await self._lots.due(known, now)
        return views.customer(id_, known.profile, known.state, due, program.accounts)

    async def events(self, tenant: str, id_: str, asked: EventsAsked) -> Listed[EventRow]:
        """`GET /v1/customers/{id}/events`: accepted events of the present generation."""
        list_ = List(tenant, f"customers/{id_}/events", asked)
        sort = paging.Sort.parse(asked.sort)
        place: paging.Place | None
        if sort.by == "action":
            place = list_.place(tuple[str, Number, Number])
        else:
            place = list_.place(tuple[Number, Number, Number])
        known = await self._repository.known(tenant, id_)
        match = events_asked(known, asked)
        found = await paging.page(self._owners, match, sort, place, asked.limit + 1)
        total = await list_.total(lambda: paging.count(self._owners, match))
        shown = found[: asked.limit]
        about = await self._about(known, [each.document for each in shown])
        rows = [about.event_row(each.document) for each in shown]
        return list_.page(rows, shown[-1].place if len(found) > len(shown) else None, total)

    async def history(self, tenant: str, id_: str, asked: HistoryAsked) -> Listed[HistoryRow]:
        """`GET /v1/customers/{id}/points-history`: a decision gives one row for each account."""
        list_ = List(tenant, f"customers/{id_}/points-history", asked)
        sort = paging.Sort(paging.RECORDED, asked.sort.startswith("-"))
        place = list_.place(tuple[Number, str])
        known = await self._repository.known(tenant, id_)
        match = history_asked(known, asked)
        # The last decision again, since a page may end between two of its accounts.
        again = paging.including(place[0], sort) if place else None
        found = await paging.page([self._points], match, sort, again, asked.limit + 2)
        total = await list_.total(lambda: self._repository.count_changes(match, asked.account))
        about = await self._about(known, [each.document for each in found])
        rows = [
            (each.number, row)
            for each in found
            for row in about.history_rows(each.document)
            if asked.account in (None, row.account)
            if not (place and each.number == place[0] and row.account <= place[1])
        ]
        shown = rows[: asked.limit]
        last = (shown[-1][0], shown[-1][1].account) if len(rows) > len(shown) else None
        return list_.page([row for _, row in shown], last, total)

    async def _about(self, known: Known, decisions: Sequence[Document]) -> About:
        stored = await self._repository.stored(known.tenant, decisions)
        lots = await self._lots.made_by(known, decisions)
        return About(stored, lots, await self._run(known.tenant, self._now()))

    async def _run(self, tenant: str, now: datetime) -> datetime | None:
        """When the tenant's points expire next; `None`: never."""
        program = await self._repository.program(tenant)
        return next_run(now, program.settings)


def cards_asked(tenant: str, asked: CustomersAsked) -> Document:
    """The filter over cards. `q` is text to be found, never a pattern."""
    match: Document = {"tenant": tenant}
    if asked.status is not None:
        match["status"] = asked.status
    if asked.q is not None:
        match["id"] = {"$regex": re.escape(asked.q), "$options": "i"}
    return match


def events_asked(known: Known, asked: EventsAsked) -> Document:
    """The filter over decisions for the stream: what was accepted, no sweeps."""
    match = {**known.accepted, "action": {"$ne": streams.EXPIRATION}}
    if asked.action is not None:
        match["action"]["$eq"] = asked.action
    if asked.transaction_id is not None:
        match["transaction.id"] = asked.transaction_id
    return match


def history_asked(known: Known, asked: HistoryAsked) -> Document:
    """The filter over decisions for the history: those that changed a balance for good."""
    change: Document = {"type": {"$in": list(streams.CHANGES)}}
    match = dict(known.accepted)
    if asked.account is not None:
        change["account"] = asked.account
    if asked.action is not None:
        match["action"] = asked.action
    return {**match, "facts": {"$elemMatch": change}}
