"""Damage to a namespace's database, and its undoing: a script that imports nothing of Laurel.

usage: python tests/verify/damage.py MONGO_URL NAMESPACE KIND      does it, prints how to undo it
       python tests/verify/damage.py MONGO_URL --undo FILE         undoes what was printed to FILE

It knows the documents by what is written about them, as whoever edits a database by hand does.
"""

import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bson import json_util
from bson.binary import Binary
from bson.int64 import Int64
from pymongo import MongoClient
from pymongo.collection import Collection

Document = dict[str, Any]
SEED = 20


@dataclass
class Deed:
    """What was damaged: the document that an auditor must name, whose it is, and where it was."""

    partition: int
    customer: str
    where: str
    id: object
    before: list[tuple[str, str, Document | None, object]] = field(default_factory=list)
    """Database, collection, the document as it was (`None`: there was none), its id."""


class Database:
    """The collections of a namespace. Every write is remembered by the deed that it belongs to."""

    def __init__(self, client: MongoClient[Document], namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._before: list[tuple[str, str, Document | None, object]] = []
        self._chance = random.Random(SEED)

    def __getitem__(self, name: str) -> Collection[Document]:
        """`points.states`"""
        service, _, collection = name.partition(".")
        return self._client[f"{self._namespace}_{service}"][collection]

    def one(self, name: str, wanted: Document | None = None) -> Document:
        """Any document that is as wanted; the same for the same data."""
        found = list(self[name].find(wanted or {}).sort("_id", 1))
        assert found, f"there is no such document in {name}: {wanted}"
        return self._chance.choice(found)

    def put(self, name: str, id_: object, document: Document | None) -> None:
        """Makes the document what is given; `None`: removes it."""
        collection = self[name]
        self._before.append(
            (collection.database.name, collection.name, collection.find_one({"_id": id_}), id_)
        )
        collection.delete_one({"_id": id_})
        if document is not None:
            collection.insert_one(document)

    def partition_of(self, key: str) -> int:
        """Where a customer lives, as its state says."""
        state = self["points.states"].find_one({"_id": key})
        assert state is not None
        return int(state["partition"])

    def deed(self, partition: int, customer: str, where: str, id_: object) -> Deed:
        """What was put since the last one."""
        before, self._before = self._before, []
        return Deed(partition, customer, where, id_, before)


def changed_lot(database: Database) -> Deed:
    page = database.one("points.lots")
    page["lots"][0]["used"] += 1
    return _put(database, "points.lots", page, page["customer"])


def changed_last_page(database: Database) -> Deed:
    state = database.one("points.states", {"accounts.main.last": {"$gt": ""}})
    account = state["accounts"]["main"]
    lots = json.loads(account["last"])
    lots[-1][3] += 1
    account["last"] = json.dumps(lots)
    return _put(database, "points.states", state, state["_id"])


def missing_decision(database: Database) -> Deed:
    decision = database.one("points.decisions", {"facts.type": "points_earned"})
    return _put(database, "points.decisions", decision, _customer(decision), remove=True)


def doubled_decision(database: Database) -> Deed:
    decision = database.one("points.decisions", {"facts.type": "points_spent"})
    again = {**decision, "_id": Int64(decision["_id"] + 1), "previous": decision["_id"]}
    return _put(database, "points.decisions", again, _customer(again))


def wrong_balance(database: Database) -> Deed:
    state = database.one("points.states", {"accounts.main.score": {"$gt": 0}})
    state["accounts"]["main"]["score"] += 100
    return _put(database, "points.states", state, state["_id"])


def broken_hash(database: Database) -> Deed:
    batch = database.one("journal.batches")
    batch["hash"] = Binary(bytes(byte ^ 1 for byte in batch["hash"]))
    return _put(database, "journal.batches", batch, "")


def changed_event(database: Database) -> Deed:
    event = database.one("journal.events", {"action": "point_add"})
    event["body"] = event["body"].replace('"points":', '"points":1')
    return _put(database, "journal.events", event, _customer(event))


def wrong_previous(database: Database) -> Deed:
    decision = database.one("customers.decisions", {"previous": {"$gt": 0}})
    decision["previous"] = Int64(decision["previous"] - 1)
    return _put(database, "customers.decisions", decision, _customer(decision))


def moved_cursor(database: Database) -> Deed:
    cursor = database.one("points.cursors")
    cursor["next"]["events_log"] -= 2
    return _put(database, "points.cursors", cursor, "")


def orphaned_lot_page(database: Database) -> Deed:
    page = database.one("points.lots")
    key, generation, account, n = page["_id"].rsplit("/", 3)
    page["_id"] = f"{key}/{int(generation) + 1}/{account}/{n}"
    return _put(database, "points.lots", page, page["customer"])


def wrong_program_version(database: Database) -> Deed:
    event = database.one("journal.events", {"action": "checkout"})
    event["program"] += 1
    return _put(database, "journal.events", event, _customer(event))


def cursor_ahead(database: Database) -> Deed:
    cursor = database.one("customers.cursors")
    cursor["seen"]["events_log"] += 5
    return _put(database, "customers.cursors", cursor, "")


def moved_mark(database: Database) -> Deed:
    cursor = database.one("points.cursors")
    cursor["announced"] = Int64(cursor["announced"] - 1)
    return _put(database, "points.cursors", cursor, "")


def document_without_a_member(database: Database) -> Deed:
    decision = database.one("points.decisions", {"facts.type": "points_earned"})
    del decision["result"]
    return _put(database, "points.decisions", decision, _customer(decision))


def missing_event(database: Database) -> Deed:
    event = database.one("journal.events", {"action": "checkout"})
    deed = _put(database, "journal.events", event, _customer(event), remove=True)
    deed.customer = ""  # who it was went with it
    return deed


def unlisted_event(database: Database) -> Deed:
    event = database.one("journal.events", {"action": "checkout"})
    event["_id"] = Binary(bytes(16))
    return _put(database, "journal.events", event, _customer(event))


def missing_batch(database: Database) -> Deed:
    batch = database.one("journal.batches")
    following = database["journal.batches"].find_one({"_id": {"$gt": batch["_id"]}})
    deed = _put(database, "journal.batches", batch, "", remove=True)
    if following is not None and following["_id"] >> 40 == deed.partition:
        deed.id = following["_id"]  # which begins behind a gap
    else:
        deed.where, deed.id = "journal.cursors", deed.partition
    return deed


def decision_with_other_facts(database: Database) -> Deed:
    decision = database.one("points.decisions", {"facts.type": "points_earned"})
    decision["facts"][-1]["points"] += 1
    return _put(database, "points.decisions", decision, _customer(decision))


def decision_of_another_program(database: Database) -> Deed:
    decision = database.one("points.decisions", {"outcome": "accepted"})
    decision["program"] += 1
    return _put(database, "points.decisions", decision, _customer(decision))


def standing_not_followed(database: Database) -> Deed:
    decision = database.one("points.decisions", {"action": "suspend"})
    return _put(database, "points.decisions", decision, _customer(decision), remove=True)


def missing_lot_page(database: Database) -> Deed:
    page = database.one("points.lots")
    return _put(database, "points.lots", page, page["customer"], remove=True)


def changed_lot_in_a_state(database: Database) -> Deed:
    """The last page of an account's lots is a text in its state."""
    state = database.one("points.states", {"accounts.main.last": {"$regex": "[em]-"}})
    account = state["accounts"]["main"]
    lots = json.loads(account["last"])
    lots[0][3] += 1  # used
    account["last"] = json.dumps(lots)
    return _put(database, "points.states", state, state["_id"])


def changed_closed_lot(database: Database) -> Deed:
    lot = database.one("points.closed")
    lot["used"] += 1
    deed = _put(database, "points.closed", lot, lot["_id"].partition("\x1f")[0])
    deed.id = lot["_id"].replace("\x1f", "\\x1f")
    return deed


def missing_state(database: Database) -> Deed:
    state = database.one("points.states")
    return _put(database, "points.states", state, state["_id"], remove=True)


def changed_profile(database: Database) -> Deed:
    profile = database.one("customers.profiles")
    profile["standing"] = "merged"
    return _put(database, "customers.profiles", profile, profile["_id"])


def changed_card(database: Database) -> Deed:
    card = database.one("query.cards")
    card["spendable"] += 1
    return _put(database, "query.cards", card, card["_id"])


def forgotten_parked_customer(database: Database) -> Deed:
    customer = database.one("points.parked_customers")
    waits = {"customer": customer["customer"], "decision": {"$exists": False}}
    first = database["points.parked"].find_one(waits, sort=[("_id", 1)])
    assert first is not None
    deed = _put(database, "points.parked_customers", customer, customer["_id"], remove=True)
    deed.where, deed.id = "points.parked", first["_id"]  # of whom it would be
    return deed


def miscounted_parked_customer(database: Database) -> Deed:
    customer = database.one("points.parked_customers")
    customer["waiting"] += 1
    return _put(database, "points.parked_customers", customer, customer["_id"])


def lost_parked_event(database: Database) -> Deed:
    """One that waits is gone: nobody would ever decide it."""
    waits = {"action": "checkout", "decision": {"$exists": False}}
    event = database.one("points.parked", waits)
    deed = _put(database, "points.parked", event, _customer(event), remove=True)
    deed.where = "points.decisions"  # it was never decided
    return deed


def parked_event_of_another_decision(database: Database) -> Deed:
    event = database.one("points.parked", {"decision": {"$exists": True}})
    event["decision"] = Int64(event["decision"] + 7)
    return _put(database, "points.parked", event, _customer(event))


TEN: dict[str, Callable[[Database], Deed]] = {
    each.__name__: each
    for each in (
        changed_lot,
        missing_decision,
        doubled_decision,
        wrong_balance,
        broken_hash,
        changed_event,
        wrong_previous,
        moved_cursor,
        orphaned_lot_page,
        wrong_program_version,
    )
}
MORE: dict[str, Callable[[Database], Deed]] = {
    each.__name__: each
    for each in (
        changed_last_page,
        cursor_ahead,
        moved_mark,
        document_without_a_member,
        missing_event,
        unlisted_event,
        missing_batch,
        decision_with_other_facts,
        decision_of_another_program,
        standing_not_followed,
        missing_lot_page,
        changed_lot_in_a_state,
        changed_closed_lot,
        missing_state,
        changed_profile,
        changed_card,
        forgotten_parked_customer,
        miscounted_parked_customer,
        lost_parked_event,
        parked_event_of_another_decision,
    )
}
KINDS = TEN | MORE


def damage(mongo_url: str, namespace: str, kind: str) -> Deed:
    """Does one kind of damage."""
    with MongoClient[Document](mongo_url) as client:
        return KINDS[kind](Database(client, namespace))


def undo(mongo_url: str, deed: Deed) -> None:
    """Everything as it was."""
    with MongoClient[Document](mongo_url) as client:
        for database, collection, before, id_ in reversed(deed.before):
            client[database][collection].delete_one({"_id": id_})
            if before is not None:
                client[database][collection].insert_one(before)


def _put(
    database: Database, where: str, document: Document, customer: str, *, remove: bool = False
) -> Deed:
    id_ = document["_id"]
    database.put(where, id_, None if remove else document)
    return database.deed(_partition(database, where, document, customer), customer, where, id_)


def _partition(database: Database, where: str, document: Document, customer: str) -> int:
    if "partition" in document:
        return int(document["partition"])
    if where == "journal.batches":
        return int(document["_id"]) >> 40
    if where.endswith(".cursors"):
        return int(document["_id"])
    return database.partition_of(customer)


def _customer(document: Document) -> str:
    return f"{document['tenant']}/{document['customer']}"


def main() -> int:
    """As a command."""
    match sys.argv[1:]:
        case [url, "--undo", file]:
            undo(url, Deed(**json_util.loads(Path(file).read_text())))
        case [url, namespace, kind] if kind in KINDS:
            print(json_util.dumps(vars(damage(url, namespace, kind)), indent=2))
        case _:
            print(f"{__doc__}\nkinds: {' '.join(KINDS)}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
