"""The stored lots of points beside the ledger: pages of open ones, and those that are closed."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cli.verify.documents import UNREADABLE, unlike
from cli.verify.findings import Findings
from cli.verify.ledger import PAGE_LOTS, Account, Ledger, Lot
from cli.verify.snapshot import Part
from shared.runtime.ports import Document

LOTS = "points.lots"
CLOSED = "points.closed"
CLOSED_SEPARATOR = "\x1f"
NAMED_MAX = 5
"""Lots that one sentence names."""

LAST = ("event", "n", "points", "used", "held", "earned_at", "expires_at")
"""What the last page, a text in the state, says of each lot, in this order."""

AccountOf = tuple[str, int, str]
"""Customer's key, generation, account: what pages belong to."""


@dataclass(slots=True)
class Pages:
    """What the stored lots of one account say by themselves."""

    open: int = 0
    due: datetime | None = None
    lowest: int | None = None

    def add(self, n: int, lots: Sequence[Document]) -> None:
        """One more page."""
        self.open += sum(lot["points"] - lot["used"] for lot in lots)
        dates = [lot["expires_at"] for lot in lots if lot["expires_at"] is not None]
        self.due = min([*dates, *([] if self.due is None else [self.due])], default=None)
        self.lowest = n if self.lowest is None else min(self.lowest, n)


def check_pages(ledger: Ledger, part: Part, found: Findings) -> Mapping[AccountOf, Pages]:
    """Every stored page, and every one that should be; what they say of each account."""
    expected = dict(_pages(ledger))
    seen: dict[AccountOf, Pages] = defaultdict(Pages)
    for page in part.of(LOTS):
        found.checked[LOTS] += 1
        id_, key = page["_id"], page.get("customer", "")
        lots = expected.pop(id_, None)
        try:
            if lots is None:
                found.differ(LOTS, key, id_, _orphan(ledger, page))
                continue
            key, generation, account, n = id_.rsplit("/", 3)
            of = {"customer": key, "account": account, "n": int(n)}
            for sentence in _wrong_page(page, lots, of):
                found.differ(LOTS, key, id_, sentence)
            seen[key, int(generation), account].add(page["n"], page["lots"])
        except UNREADABLE as error:
            found.differ(LOTS, key, id_, f"is not of a page's shape ({error!r})")
    for id_, lots in expected.items():
        sentence = f"is not stored, though {len(lots)} lots in it are open"
        found.differ(LOTS, id_.rsplit("/", 3)[0], id_, sentence)
    return seen


def _pages(ledger: Ledger) -> Iterator[tuple[str, list[Lot]]]:
    for key, customer in ledger.customers.items():
        for id_, account in customer.accounts.items():
            pages: dict[int, list[Lot]] = {}
            for lot in account.lots.values():
                if (n := lot.made // PAGE_LOTS) < account.made // PAGE_LOTS:
                    pages.setdefault(n, []).append(lot)
            for n, lots in pages.items():
                yield f"{key}/{customer.generation}/{id_}/{n}", lots


def _orphan(ledger: Ledger, page: Document) -> str:
    """Why no page of this name should be."""
    key, generation, account, n = page["_id"].rsplit("/", 3)
    customer = ledger.customers.get(key)
    if customer is None:
        return "belongs to a customer of whom no decision is known"
    if int(generation) != customer.generation:
        return f"is of generation {generation}, but the customer is in {customer.generation}"
    if account not in customer.accounts:
        return "belongs to an account that the customer does not have"
    made = customer.accounts[account].made
    if (int(n) + 1) * PAGE_LOTS > made:
        return f"is beyond the full pages of the {made} lots that were ever made"
    return "is stored, though no lot in it is open"


def _wrong_page(page: Document, lots: list[Lot], of: Document) -> Iterator[str]:
    if wrong := unlike(page, of):
        yield wrong
    yield from wrong_lots(page["lots"], lots)


def wrong_lots(stored: Sequence[Document], lots: Sequence[Lot]) -> Iterator[str]:
    """Of one page, beside the lots that are open in it."""
    names = [(lot.event, lot.n) for lot in lots]
    found = [(lot["event"], lot["n"]) for lot in stored]
    if found != names:
        yield _other_lots(found, names)
        return
    for lot, expected in zip(stored, lots, strict=True):
        if wrong := unlike(lot, _document(expected)):
            yield f"lot {expected.event}/{expected.n}: {wrong}"


Names = list[tuple[str, int]]
"""Of lots: the event that made it, and its place among that event's."""


def _other_lots(found: Names, expected: Names) -> str:
    lacking = [f"lacks {event}/{n}" for event, n in expected if (event, n) not in found]
    closed = [f"holds {event}/{n}" for event, n in found if (event, n) not in expected]
    said = [*lacking, *closed] or ["has its lots in another order"]
    more = f", and {len(said) - NAMED_MAX} more" if len(said) > NAMED_MAX else ""
    return f"{', '.join(said[:NAMED_MAX])}{more}: not the lots that are open"


def _document(lot: Lot) -> Document:
    return {
        "event": lot.event,
        "n": lot.n,
        "points": lot.points,
        "used": lot.used,
        "held": 0,
        "earned_at": lot.earned_at,
        "expires_at": lot.expires_at,
    }


def last_page(stored: Document) -> list[Document]:
    """The lots that an account keeps in its state, until their page is full."""
    lots = json.loads(stored["last"] or "[]")
    return [_dated(dict(zip(LAST, lot, strict=True))) for lot in lots]


def _dated(lot: Document) -> Document:
    for name in ("earned_at", "expires_at"):
        if lot[name]:  # as everything else here: UTC, without saying so
            lot[name] = datetime.fromisoformat(lot[name]).replace(tzinfo=None)
    return lot


def not_in_pages(account: Account) -> list[Lot]:
    """The open lots that are in no full page."""
    full = account.made // PAGE_LOTS
    return [lot for lot in account.lots.values() if lot.made // PAGE_LOTS >= full]


def check_closed(ledger: Ledger, part: Part, found: Findings) -> None:
    """Every lot that left its page, and no other."""
    expected = dict(ledger.closed)
    for lot in part.of(CLOSED):
        found.checked[CLOSED] += 1
        id_ = lot["_id"]
        should = expected.pop(id_, None)
        wrong = "is stored, though no decision closed it" if should is None else unlike(lot, should)
        if wrong:
            found.differ(CLOSED, _customer(id_), _readable(id_), wrong)
    for id_ in expected:
        found.differ(CLOSED, _customer(id_), _readable(id_), "is not stored, though it is closed")


def _customer(closed: str) -> str:
    return closed.partition(CLOSED_SEPARATOR)[0]


def _readable(closed: str) -> str:
    return closed.replace(CLOSED_SEPARATOR, "\\x1f")
