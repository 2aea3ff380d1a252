"""The documents of customers: profiles and decisions; their shapes and indexes."""

from collections.abc import Collection, Iterator, Sequence

from pymongo.database import Database

from services.customers.domain.profiles import UNKNOWN, Profile
from shared.runtime.deciding import DECISIONS
from shared.runtime.mongo import store_errors
from shared.runtime.outbox import unannounced
from shared.runtime.owner import Change, Customer
from shared.runtime.ports import Cursor, Document, Transaction

PROFILES = "profiles"


class CustomersRepository:
    """Reads before a batch, writes inside its transaction. Reads raise `Unavailable`."""

    def __init__(self, database: Database[Document]) -> None:
        self._profiles = database[PROFILES]
        self._decisions = database[DECISIONS]

    def create_indexes(self) -> None:
        """`decisions` by customer: a customer's history is read from them."""
        with store_errors():
            self._decisions.create_index([("tenant", 1), ("customer", 1), ("_id", 1)])

    def profiles(self, keys: Collection[str]) -> dict[str, Profile]:
        """By `tenant/customer`; one that has none is unknown."""
        with store_errors():
            found = self._profiles.find({"_id": {"$in": list(keys)}})
            return dict.fromkeys(keys, UNKNOWN) | {each["_id"]: _profile(each) for each in found}

    def unannounced(self, cursor: Cursor) -> Iterator[Document]:
        """Decisions behind the acknowledged mark of a partition."""
        return unannounced(self._decisions, cursor)

    @staticmethod
    def store(transaction: Transaction, changes: Sequence[Change[Profile]]) -> None:
        """One write per changed customer."""
        transaction.put(PROFILES, [_document(change.of, change.after) for change in changes])


def _profile(document: Document) -> Profile:
    return Profile(
        document["standing"],
        document["generation"],
        document["since"],
        document.get("opted_in_at"),
        document.get("reason"),
        tuple(document["labels"]),
    )


def _document(of: Customer, profile: Profile) -> Document:
    document: Document = {
        "_id": of.key,
        "tenant": of.tenant,
        "customer": of.id,
        "partition": of.partition,
        "standing": profile.standing,
        "generation": profile.generation,
        "since": profile.since,
        "labels": list(profile.labels),
    }
    if profile.opted_in_at is not None:
        document["opted_in_at"] = profile.opted_in_at
    if profile.reason is not None:
        document["reason"] = profile.reason
    return document
