"""A service small enough to be checked by eye: it counts points per customer, one decision each."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.contracts.decisions import number
from shared.runtime.messages import bytes_headers
from shared.runtime.ports import Cursor, Dead, Document, Message, Outgoing, Transaction

LINEAGE = "the-log"
FACTS = "points.facts"


class Counting:
    """A handler that adds the value of each message to its customer."""

    def __init__(self, stored: "Stored") -> None:
        self._stored = stored
        self.totals: dict[str, int] = {}

    def due(self, cursors: Mapping[int, Cursor]) -> bool:
        return False

    def decide(self, messages: Sequence[Message], cursors: Mapping[int, Cursor]) -> "Counted":
        customers = {message.headers["customer"] for message in messages}
        for document in self._stored.totals(customers - self.totals.keys()):
            self.totals[document["_id"]] = document["points"]
        work = Counted(self, cursors, dict(self.totals))
        for message in messages:
            work.count(message)
        return work

    def resend(self, cursor: Cursor) -> Iterable[Outgoing]:
        return [announced(document) for document in self._stored.after(cursor)]

    def forget(self, partitions: object) -> None:
        self.totals.clear()


@dataclass
class Counted:
    """One batch of it."""

    handler: Counting
    cursors: Mapping[int, Cursor]
    totals: dict[str, int]
    dead: list[Dead] = field(default_factory=list)
    decisions: list[Document] = field(default_factory=list)
    lasts: dict[int, int] = field(default_factory=dict)

    def count(self, message: Message) -> None:
        try:
            points = points_of(message.value)
        except ValueError:
            self.dead.append(Dead(message, "no number"))
            return
        customer = message.headers["customer"]
        self.totals[customer] = self.totals.get(customer, 0) + points
        key = number(message.partition, int(message.headers["seq"]))
        previous = self.lasts.get(message.partition, self.cursors[message.partition].last)
        self.decisions.append(
            {"_id": key, "previous": previous, "customer": customer, "points": points}
            | {"partition": message.partition, "total": self.totals[customer]}
        )
        self.lasts[message.partition] = key

    def prepare(self, transaction: Transaction) -> None: ...

    def last(self) -> Mapping[int, int]:
        return self.lasts

    def marks(self) -> Mapping[int, Mapping[str, object]]:
        return {}

    def write(self, transaction: Transaction) -> None:
        touched = {decision["customer"] for decision in self.decisions}
        transaction.insert("decisions", self.decisions)
        transaction.put("states", [{"_id": c, "points": self.totals[c]} for c in sorted(touched)])

    def outgoing(self) -> Iterable[Outgoing]:
        return [announced(document) for document in self.decisions]

    def committed(self) -> None:
        self.handler.totals = self.totals


def points_of(value: bytes) -> int:
    """A number alone, or a member of what a service announces. Raises `ValueError`."""
    told = json.loads(value)
    return int(told["points"] if isinstance(told, dict) else told)


class Stored:
    """How the handler reads what was committed, whatever the store is."""

    def totals(self, customers: Iterable[str]) -> list[Document]:
        raise NotImplementedError  # the two worlds of the suite say how

    def after(self, cursor: Cursor) -> list[Document]:
        raise NotImplementedError


def announced(decision: Document) -> Outgoing:
    headers = {
        "decision": str(decision["_id"]),
        "previous": str(decision["previous"]),
        "customer": decision["customer"],
        "lineage": LINEAGE,
    }
    key, value = decision["customer"].encode(), str(decision["points"]).encode()
    return Outgoing(FACTS, key, value, bytes_headers(headers), decision["partition"])
