"""Documents of points: how states, lots and first checkouts look in the database."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from services.points.domain.accounts import Account
from services.points.domain.customers import UNKNOWN, CustomerPoints
from services.points.domain.lots import Hidden, Lot, Lots, full, page_changes
from services.points.domain.transactions import FirstCheckout, Transaction
from shared.contracts.identity import closed_lot_key
from shared.runtime.owner import Change, Customer
from shared.runtime.ports import Document

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[Lot, ...]).decode
"""The last page of an account as a text in its state: a small part of what BSON costs."""


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
    """A stored state; its full pages are known to exist, and hidden."""
    return CustomerPoints(
        document["standing"],
        document["generation"],
        document["since"],
        {id_: _account(id_, fields) for id_, fields in document["accounts"].items()},
    )


def _account(id_: str, fields: Document) -> Account:
    made, due, last = fields["made"], fields["due"], fields["last"]
    pages = {full(made): _decode(last)} if last else {}
    hidden = Hidden(fields["first"], due) if fields["first"] < full(made) else None
    return Account(
        id=id_,
        score=fields["score"],
        spent=fields["spent"],
        pending=fields["pending"],
        reserved=fields["reserved"],
        expired=fields["expired"],
        made=made,
        due=due,
        lots=Lots(pages, hidden),
    )


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
        "last": _encode(last).decode() if (last := _last_page(account)) else "",
    }


def _last_page(account: Account) -> tuple[Lot, ...]:
    return account.lots.pages.get(full(account.made), ())


def lot_of(document: Document) -> Lot:
    """One lot of a page."""
    return Lot(**document)


def stored_pages(account: Account) -> range:
    """The numbers of the full pages that may be stored."""
    return range(account.lots.first(account.made), full(account.made))


def add_pages(change: Change[CustomerPoints], put: list[Document], removed: list[str]) -> None:
    """Adds what turns the stored full pages of a customer into the present ones."""
    of, before, after = change
    if before.generation != after.generation:
        removed.extend(_all_pages(of, before))
        before = UNKNOWN
    for id_, account in after.accounts.items():
        was = before.account(id_)
        if account.lots is was.lots or not full(account.made):
            continue  # all of its lots are in its last page
        pages = AccountOf(of.key, after.generation, id_)
        changes = page_changes(was.lots, was.made, account.lots, account.made)
        put.extend(_page_document(pages, n, page) for n, page in changes.put.items())
        removed.extend(pages.page(n) for n in changes.removed)


def _all_pages(of: Customer, state: CustomerPoints) -> Iterator[str]:
    for id_, account in state.accounts.items():
        for n in stored_pages(account):
            yield AccountOf(of.key, state.generation, id_).page(n)


def _page_document(of: AccountOf, n: int, page: Iterable[Lot]) -> Document:
    lots = [msgspec.structs.asdict(lot) for lot in page]
    return {"_id": of.page(n), "customer": of.key, "account": of.account, "n": n, "lots": lots}


def closed_documents(change: Change[CustomerPoints]) -> Iterator[Document]:
    """What is kept of lots that left their page: a history row's label and `used_points`."""
    for generation, account, lot in change.after.closed():
        yield {
            "_id": closed_lot_key(change.of.key, generation, lot.event, lot.n, account),
            "used": lot.used,
            "expired": lot.expired,
        }
