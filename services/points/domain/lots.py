"""Lots: what each earning event left, in pages, and which of them a use takes first.

The last page of an account, the one that still fills, is always known: it is kept with the
balances. The full pages before it are usually not loaded: then `hidden` says so. Earning needs no
more; what uses or expires lots must know all of them.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

from msgspec import Struct

from shared.contracts.facts import LotUse
from shared.contracts.lots import KeptLot

PAGE_LOTS = 32
"""The k-th lot ever made of an account lives in page k // 32 for good. The page that still fills is
written with each change of its account, so it should be small (ADR 20, measured)."""
NEVER = datetime.max.replace(tzinfo=UTC)
"""Sorts lots without an expiry behind all others."""


class LotsNotLoaded(Exception):  # it names the state that was met
    """A rule met an account whose lots it had not asked for: a bug in `needs.py`."""


class Lot(KeptLot, frozen=True, gc=False):
    """Open points of one earning, as the last page of a state keeps them."""

    @property
    def left(self) -> int:
        """What is still there, held points included."""
        return self.points - self.used

    @property
    def free(self) -> int:
        """What may be taken."""
        return self.points - self.used - self.held


class Closed(NamedTuple):
    """A lot that is used up or expired: it leaves its page, its history row keeps these."""

    event: str
    n: int
    used: int
    expired: int


class Hidden(NamedTuple):
    """Stored lots that are not loaded: the lowest page that holds some, their earliest expiry."""

    first: int
    due: datetime | None

    def is_due(self, now: datetime) -> bool:
        """Whether one of them has to go."""
        return self.due is not None and self.due <= now


class Lots(Struct, frozen=True, gc=False):
    """The open lots of one account, pages and lots in the order of making.

    `hidden`: stored lots exist that are not in `pages`; `closed`: lots that left since the state
    was last stored.
    """

    pages: Mapping[int, tuple[Lot, ...]] = {}
    hidden: Hidden | None = None
    closed: tuple[Closed, ...] = ()

    def known(self) -> Iterator[Lot]:
        """Every open lot that is loaded."""
        return chain.from_iterable(self.pages.values())

    def due(self) -> datetime | None:
        """The earliest expiry of all open lots, hidden ones included."""
        dates = [lot.expires_at for lot in self.known() if lot.expires_at is not None]
        if self.hidden is not None and self.hidden.due is not None:
            dates.append(self.hidden.due)
        return min(dates, default=None)

    def first(self, made: int) -> int:
        """The lowest page that may hold an open lot, of an account that made so many lots."""
        return (
            next(iter(self.pages), made // PAGE_LOTS) if self.hidden is None else self.hidden.first
        )


NONE = Lots()


def add(lots: Lots, ordinal: int, lot: Lot) -> Lots:
    """With the account's lot number `ordinal`; one that a debt takes whole is closed at once."""
    if lot.left == 0:
        gone = Closed(lot.event, lot.n, lot.used, 0)
        return Lots(lots.pages, lots.hidden, (*lots.closed, gone))
    page = ordinal // PAGE_LOTS
    pages = {**lots.pages, page: (*lots.pages.get(page, ()), lot)}
    return Lots(pages, lots.hidden, lots.closed)


def first_to_expire(lots: Lots, points: int) -> tuple[LotUse, ...]:
    """At most `points` from free lots: earliest expiry first, then earliest earned, those without
    expiry last (Part 5, lot order). Raises `LotsNotLoaded`.
    """
    if lots.hidden is not None:
        raise LotsNotLoaded
    uses = []
    for lot in sorted(lots.known(), key=_order):
        if points == 0:
            break
        if part := min(lot.free, points):
            uses.append(LotUse(lot.event, lot.n, part))
            points -= part
    return tuple(uses)


def due(lots: Lots, now: datetime) -> tuple[LotUse, ...]:
    """What is free of the lots whose expiry is not after `now`. Raises `LotsNotLoaded` if some of
    those may be hidden.
    """
    if lots.hidden is not None and lots.hidden.is_due(now):
        raise LotsNotLoaded
    return tuple(
        LotUse(lot.event, lot.n, lot.free)
        for lot in sorted(lots.known(), key=_order)
        if lot.expires_at is not None and lot.expires_at <= now and lot.free
    )


def used(lots: Lots, uses: Iterable[LotUse]) -> Lots:
    """After these uses; lots that are used up leave their page."""
    return _changed(lots, uses, expires=False)


def expired(lots: Lots, uses: Iterable[LotUse]) -> Lots:
    """After these points expired; their lots leave their page."""
    return _changed(lots, uses, expires=True)


def full(made: int) -> int:
    """How many pages are full, of an account that made so many lots: the last page's number."""
    return made // PAGE_LOTS


def stored(lots: Lots, made: int, due: datetime | None, *, kept_max: int) -> Lots:
    """As known once everything is written: closed lots are forgotten, and so are the full pages
    unless all of them are known and few enough to keep. `due` is the account's.
    """
    pages = lots.pages
    if lots.hidden is None and sum(map(len, pages.values())) <= kept_max:
        return Lots(pages)
    last = {n: page for n, page in pages.items() if n >= full(made)}
    if lots.hidden is None and len(last) == len(pages):
        return Lots(last)
    return Lots(last, Hidden(lots.first(made), due))


def loaded(lots: Lots, pages: Mapping[int, tuple[Lot, ...]]) -> Lots:
    """All open lots of an account: its full pages besides the last one."""
    return Lots({**dict(sorted(pages.items())), **lots.pages})


class PageChanges(NamedTuple):
    """What turns the stored full pages into the present ones: by number, and those that go."""

    put: Mapping[int, tuple[Lot, ...]]
    removed: tuple[int, ...]


def page_changes(before: Lots, made_before: int, after: Lots, made: int) -> PageChanges:
    """A page is written when it is full, and when a lot of it is used."""
    were, are = full(made_before), full(made)
    return PageChanges(
        {
            n: page
            for n, page in after.pages.items()
            if n < are and (n >= were or page is not before.pages.get(n))
        },
        tuple(n for n in before.pages if n < were and n not in after.pages),
    )


def _order(lot: Lot) -> tuple[datetime, datetime]:
    return lot.expires_at or NEVER, lot.earned_at


def _changed(lots: Lots, uses: Iterable[LotUse], *, expires: bool) -> Lots:
    taken = {(use.event, use.n): use.points for use in uses}
    pages, closed = {}, list(lots.closed)
    for number, page in lots.pages.items():
        kept = page
        if any((lot.event, lot.n) in taken for lot in page):
            kept = tuple(_kept(page, taken, closed, expires=expires))
        if kept:
            pages[number] = kept
    return Lots(pages, lots.hidden, tuple(closed))


def _kept(
    page: Iterable[Lot],
    taken: Mapping[tuple[str, int], int],
    closed: list[Closed],
    *,
    expires: bool,
) -> Iterator[Lot]:
    for lot in page:
        points = taken.get((lot.event, lot.n), 0)
        if points < lot.left:
            yield lot if points == 0 else _after_use(lot, points)
        else:
            gone = points if expires else 0
            closed.append(Closed(lot.event, lot.n, lot.used + points - gone, gone))


def _after_use(lot: Lot, points: int) -> Lot:
    return Lot(
        lot.event, lot.n, lot.points, lot.used + points, lot.held, lot.earned_at, lot.expires_at
    )
