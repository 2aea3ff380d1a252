"""The collections of points: what a batch reads of them, what it writes, their indexes."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from pymongo.database import Database

from services.points.documents import (
    AccountOf,
    add_pages,
    closed_documents,
    first_checkout,
    lot_of,
    state_document,
    state_of,
    stored_pages,
)
from services.points.domain.accounts import Account
from services.points.domain.customers import UNKNOWN, CustomerPoints
from services.points.domain.lots import Lot
from services.points.domain.transactions import FirstCheckout
from shared.runtime.deciding import DECISIONS
from shared.runtime.mongo import store_errors
from shared.runtime.outbox import unannounced
from shared.runtime.owner import Change
from shared.runtime.ports import Cursor, Document
from shared.runtime.ports import Transaction as Writes

STATES = "states"
LOTS = "lots"
CLOSED = "closed"

Pages = dict[int, tuple[Lot, ...]]


class PointsRepository:
    """Reads before a batch, writes inside its transaction. Reads raise `Unavailable`. `suffix`: of
    the collections' names, for a second set of them; a transaction knows it by itself."""

    def __init__(self, database: Database[Document], suffix: str = "") -> None:
        self._states = database[STATES + suffix]
        self._lots = database[LOTS + suffix]
        self._decisions = database[DECISIONS + suffix]

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
        """By `tenant/customer`; one that has none is unknown. Their full pages are hidden."""
        with store_errors():
            found = self._states.find({"_id": {"$in": list(keys)}})
            return dict.fromkeys(keys, UNKNOWN) | {each["_id"]: state_of(each) for each in found}

    def lots(self, wanted: Mapping[AccountOf, Account]) -> dict[AccountOf, Pages]:
        """The full pages of these accounts, which are hidden, in one find."""
        pages: dict[AccountOf, Pages] = {of: {} for of in wanted}
        owners = {of.page(n): (of, n) for of, held in wanted.items() for n in stored_pages(held)}
        if owners:
            with store_errors():
                for page in self._lots.find({"_id": {"$in": list(owners)}}):
                    of, n = owners[page["_id"]]
                    pages[of][n] = tuple(map(lot_of, page["lots"]))
        return pages

    def first_checkouts(
        self, wanted: Collection[tuple[str, str, str]]
    ) -> Iterator[tuple[tuple[str, str], int, FirstCheckout]]:
        """Of (tenant, customer, transaction id): (key, transaction id), number of the decision, and
        the checkout. Those of former generations are among them."""
        asked = {(f"{tenant}/{customer}", id_) for tenant, customer, id_ in wanted}
        if not asked:
            return
        query = {
            "transaction.id": {"$in": list({id_ for _, _, id_ in wanted})},
            "customer": {"$in": list({customer for _, customer, _ in wanted})},
        }
        with store_errors():
            for decision in self._decisions.find(query):
                of = (f"{decision['tenant']}/{decision['customer']}", decision["transaction"]["id"])
                if of in asked:
                    yield of, decision["_id"], first_checkout(decision)

    def unannounced(self, cursor: Cursor) -> Iterator[Document]:
        """Decisions behind the acknowledged mark of a partition."""
        return unannounced(self._decisions, cursor)

    @staticmethod
    def store(writes: Writes, changes: Sequence[Change[CustomerPoints]]) -> None:
        """One write per changed customer, and per page that is full and changed."""
        writes.put(STATES, [state_document(of, after) for of, _, after in changes])
        put: list[Document] = []
        removed: list[str] = []
        for change in changes:
            add_pages(change, put, removed)
        writes.put(LOTS, put)
        writes.remove(LOTS, removed)
        writes.put(CLOSED, [each for change in changes for each in closed_documents(change)])
