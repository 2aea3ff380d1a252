"""The documents of points: states, lot pages, closed lots, decisions; their shapes and indexes."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pymongo.database import Database

from services.points.domain.accounts import Account
from services.points.domain.customers import UNKNOWN, CustomerPoints
from services.points.domain.lots import NONE, PAGE_LOTS, Hidden, Lot, Lots, page_changes
from services.points.domain.transactions import FirstCheckout, Transaction
from shared.contracts.decisions import number
from shared.runtime.deciding import DECISIONS, RESEND_CHUNK
from shared.runtime.mongo import store_errors
from shared.runtime.ports import Document
from shared.runtime.ports import Transaction as Writes

STATES = "states"
LOTS = "lots"
CLOSED = "closed"

Pages = dict[int, tuple[Lot, ...]]


class Customer(NamedTuple):
    """Whose state it is."""

    tenant: str
    id: str
    partition: int

    @property
    def key(self) -> str:
        """`tenant/customer`: unique, since a tenant id has no slash."""
        return f"{self.tenant}/{self.id}"


class AccountOf(NamedTuple):
    """One account of one customer, in one generation: what lot pages belong to."""

    key: str
    generation: int
    account: str

    def page(self, n: int) -> str:
        """The `_id` of a page."""
        return f"{self.key}/{self.generation}/{self.account}/{n}"


class PointsRepository:
    """Reads before a batch, writes inside its transaction. Reads raise `Unavailable`."""

    def __init__(self, database: Database[Document]) -> None:
        self._states = database[STATES]
        self._lots = database[LOTS]
        self._decisions = database[DECISIONS]

    def create_indexes(self) -> None:
        """`decisions` by customer, and by transaction where there is one: no more on the hot path
        (each index costs a third of the insert rate: DESIGN section 4)."""
        with store_errors():
            self._decisions.create_index([("tenant", 1), ("customer", 1), ("_id", 1)])
            self._decisions.create_index(
                [("transaction.id", 1), ("customer", 1)],
                partialFilterExpression={"transaction.id": {"$exists": True}},
            )

    def states(self, keys: Collection[str]) -> dict[str, CustomerPoints]:
        """By `tenant/customer`; one that has none is unknown. Their lots are hidden."""
        with store_errors():
            found = self._states.find({"_id": {"$in": list(keys)}})
            return dict.fromkeys(keys, UNKNOWN) | {each["_id"]: _state(each) for each in found}

    def lots(self, wanted: Mapping[AccountOf, Account]) -> dict[AccountOf, Pages]:
        """All stored pages of these accounts, whose lots are hidden, in one find."""
        pages: dict[AccountOf, Pages] = {of: {} for of in wanted}
        owners = {of.page(n): (of, n) for of, held in wanted.items() for n in _stored_pages(held)}
        if owners:
            with store_errors():
                for page in self._lots.find({"_id": {"$in": list(owners)}}):
                    of, n = owners[page["_id"]]
                    pages[of][n] = tuple(map(_lot, page["lots"]))
        return pages

    def first_checkouts(
        self, wanted: Collection[tuple[Customer, str]]
    ) -> Iterator[tuple[tuple[str, str], int, FirstCheckout]]:
        """Of these customers' transaction ids: (key, transaction id), number of the decision, and
        the checkout. Those of former generations are among them."""
        asked = {(customer.key, id_) for customer, id_ in wanted}
        if not asked:
            return
        query = {
            "transaction.id": {"$in": list({id_ for _, id_ in asked})},
            "customer": {"$in": list({customer.id for customer, _ in wanted})},
        }
        with store_errors():
            for decision in self._decisions.find(query):
                of = (f"{decision['tenant']}/{decision['customer']}", decision["transaction"]["id"])
                if of in asked:
                    yield of, decision["_id"], first_checkout(decision)

    def decisions_after(self, partition: int, announced: int, last: int) -> Iterator[Document]:
        """Decisions of one partition behind `announced`, in order, some at a time."""
        announced = max(announced, number(partition, 0))  # 0 before anything was announced
        while announced < last:
            with store_errors():
                query = {"_id": {"$gt": announced, "$lte": last}}
                found = list(self._decisions.find(query).sort("_id", 1).limit(RESEND_CHUNK))
            if not found:
                return
            yield from found
            announced = found[-1]["_id"]

    @staticmethod
    def store(writes: Writes, decisions: Sequence[Document], changes: Iterable["Change"]) -> None:
        """One write per decision, per changed customer and per changed page."""
        changes = list(changes)
        writes.insert(DECISIONS, decisions)
        writes.put(STATES, [_state_document(of, after) for of, _, after in changes])
        put: list[Document] = []
        push: list[tuple[str, Document]] = []
        removed: list[str] = []
        for change in changes:
            _add_pages(change, put, push, removed)
        writes.put(LOTS, put)
        writes.update(LOTS, push)
        writes.remove(LOTS, removed)
        writes.put(CLOSED, [each for change in changes for each in _closed_documents(change)])


class Change(NamedTuple):
    """A customer's state before and after a batch."""

    of: Customer
    before: CustomerPoints
    after: CustomerPoints


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


def _state(document: Document) -> CustomerPoints:
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


def _state_document(of: Customer, state: CustomerPoints) -> Document:
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


def _lot(document: Document) -> Lot:
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


def _stored_pages(account: Account) -> range:
    """The numbers of the pages that may be stored: none above the last lot's."""
    return range(account.lots.first(account.made), (account.made - 1) // PAGE_LOTS + 1)


def _add_pages(
    change: Change, put: list[Document], push: list[tuple[str, Document]], removed: list[str]
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
        for n in _stored_pages(account):
            yield AccountOf(of.key, state.generation, id_).page(n)


def _page_document(of: AccountOf, n: int, page: Iterable[Lot]) -> Document:
    lots = [_lot_document(lot) for lot in page]
    return {"_id": of.page(n), "customer": of.key, "account": of.account, "n": n, "lots": lots}


def _page_addition(of: AccountOf, n: int, added: Iterable[Lot]) -> tuple[str, Document]:
    """Adds without knowing what the page holds; makes it where it is missing."""
    return of.page(n), {
        "$push": {"lots": {"$each": [_lot_document(lot) for lot in added]}},
        "$setOnInsert": {"customer": of.key, "account": of.account, "n": n},
    }


def _closed_documents(change: Change) -> Iterator[Document]:
    for generation, account, lot in change.after.closed():
        yield {
            "_id": f"{change.of.key}/{generation}/{lot.event}/{lot.n}/{account}",
            "used": lot.used,
            "expired": lot.expired,
        }
