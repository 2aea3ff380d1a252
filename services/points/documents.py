"""Documents of points: how states, lots and first checkouts look in the database."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from services.points.domain.accounts import Account
from services.points.domain.customers import UNKNOWN, CustomerPoints
from services.points.domain.lots import NONE, PAGE_LOTS, Hidden, Lot, Lots, page_changes
from services.points.domain.transactions import FirstCheckout, Transaction
from shared.contracts.identity import closed_lot_key
from shared.runtime.owner import Change, Customer
from shared.runtime.ports import Document


class AccountOf(NamedTuple):
    """One account of one customer, in one generation: what lot pages belong to."""

    key: str
    generation: int
    account: str

    def page(self, n: int) -> str:
        """The `_id` of a page."""
        return f"{self.key}/{self.generation}/{self.account}/{n}"


def first_checkout(decision: Document) -> FirstCheckout:
    """From the stored decision: what a repeat is compared with and answered by."""
    outcome = {
        "recorded_at": decision["at"],
        "time": decision["time"],
        "facts": decision["facts"],
        "balances": decision["result"]["balances"],
    }
    return FirstCheckout(bytes(decision["transaction"]["digest"]), outcome)


def transaction_document(transaction: Transaction | None) -> Document | None:
    """A checkout as its decision keeps it."""
    return None if transaction is None else transaction._asdict()


def state_of(document: Document) -> CustomerPoints:
    """A stored state; its open lots are known to exist, and hidden."""
    return CustomerPoints(
        document["standing"],
        document["generation"],
        document["since"],
        {id_: _account(id_, fields) for id_, fields in document["accounts"].items()},
    )


def _account(id_: str, fields: Document) -> Account:
    account = Account(
        id=id_,
        score=fields["score"],
        spent=fields["spent"],
        pending=fields["pending"],
        reserved=fields["reserved"],
        expired=fields["expired"],
        made=fields["made"],
        due=fields["due"],
        lots=Lots(hidden=Hidden(fields["first"], fields["due"])),
    )
    return account if account.has_lots else account.with_lots(NONE)


def state_document(of: Customer, state: CustomerPoints) -> Document:
    """All of a state but its lots."""
    return {
        "_id": of.key,
        "tenant": of.tenant,
        "customer": of.id,
        "partition": of.partition,
        "standing": state.standing,
        "generation": state.generation,
        "since": state.since,
        "accounts": {id_: _account_document(held) for id_, held in state.accounts.items()},
    }


def _account_document(account: Account) -> Document:
    return {
        "score": account.score,
        "spent": account.spent,
        "pending": account.pending,
        "reserved": account.reserved,
        "expired": account.expired,
        "made": account.made,
        "due": account.due,
        "first": account.lots.first(account.made),
    }


def lot_of(document: Document) -> Lot:
    """One lot of a page."""
    return Lot(
        document["event"],
        document["n"],
        document["points"],
        document["used"],
        document["held"],
        document["earned_at"],
        document["expires_at"],
    )


def _lot_document(lot: Lot) -> Document:
    return {
        "event": lot.event,
        "n": lot.n,
        "points": lot.points,
        "used": lot.used,
        "held": lot.held,
        "earned_at": lot.earned_at,
        "expires_at": lot.expires_at,
    }


def stored_pages(account: Account) -> range:
    """The numbers of the pages that may be stored: none above the last lot's."""
    return range(account.lots.first(account.made), (account.made - 1) // PAGE_LOTS + 1)


def add_pages(
    change: Change[CustomerPoints],
    put: list[Document],
    push: list[tuple[str, Document]],
    removed: list[str],
) -> None:
    """Adds what turns the stored pages of a customer into the present ones."""
    of, before, after = change
    if before.generation != after.generation:
        removed.extend(_all_pages(of, before))
        before = UNKNOWN
    for id_, account in after.accounts.items():
        pages = AccountOf(of.key, after.generation, id_)
        known = before.accounts[id_].lots if id_ in before.accounts else NONE
        if account.lots is known:
            continue
        changes = page_changes(known, account.lots)
        put.extend(_page_document(pages, n, page) for n, page in changes.put.items())
        push.extend(_page_addition(pages, n, added) for n, added in changes.push.items())
        removed.extend(pages.page(n) for n in changes.removed)


def _all_pages(of: Customer, state: CustomerPoints) -> Iterator[str]:
    for id_, account in state.accounts.items():
        for n in stored_pages(account):
            yield AccountOf(of.key, state.generation, id_).page(n)


def _page_document(of: AccountOf, n: int, page: Iterable[Lot]) -> Document:
    lots = [_lot_document(lot) for lot in page]
    # Fields in the order that MongoDB gives a page made by `$push`: however the log is cut into
    # batches, the same page is made of the same bytes.
    return {"_id": of.page(n), "account": of.account, "customer": of.key, "lots": lots, "n": n}


def _page_addition(of: AccountOf, n: int, added: Iterable[Lot]) -> tuple[str, Document]:
    """Adds without knowing what the page holds; makes it where it is missing."""
    return of.page(n), {
        "$push": {"lots": {"$each": [_lot_document(lot) for lot in added]}},
        "$setOnInsert": {"customer": of.key, "account": of.account, "n": n},
    }


def closed_documents(change: Change[CustomerPoints]) -> Iterator[Document]:
    """What is kept of lots that left their page: a history row's label and `used_points`."""
    for generation, account, lot in change.after.closed():
        yield {
            "_id": closed_lot_key(change.of.key, generation, lot.event, lot.n, account),
            "used": lot.used,
            "expired": lot.expired,
        }
