"""Findings: what was checked, how much of it, and every difference."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

CHECKED = {
    "journal.batches": "dense, in order, each hash as its events make it",
    "journal.events": "where its batch says, stamped in order, announced as stored",
    "events.log": "no message missing, none unknown",
    "journal.cursors": "positions",
    "customers.decisions": "one for each event, chained, stamped as it, announced as stored",
    "customers.facts": "no message missing, none unknown",
    "customers.profiles": "as the decisions make them",
    "customers.parked": "who waits, and nothing decided for them",
    "customers.cursors": "positions",
    "points.decisions": "one for each event, chained, stamped as it, announced as stored",
    "points.facts": "no message missing, none unknown",
    "points.states": "balances as the decisions make them",
    "points.lots": "open lots as the decisions make them",
    "points.closed": "lots that are used up or expired",
    "points.parked": "who waits, and nothing decided for them",
    "points.cursors": "positions",
    "query.cards": "as announced",
    "query.cursors": "positions",
}
"""What is compared, collection or topic, in the order of the flow; and what holds of it."""


class Difference(NamedTuple):
    """One thing that is not as it must be. `customer`: `tenant/customer`, empty where the document
    is nobody's; `where`: collection or topic; `id`: the document's, or a message's number."""

    customer: str
    where: str
    id: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.customer or '-'}  {self.where} {self.id}: {self.sentence}"


@dataclass(slots=True)
class Findings:
    """Counts of all, and the first `limit` differences themselves."""

    limit: int
    checked: Counter[str] = field(default_factory=Counter)
    differing: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def differ(self, where: str, customer: str, id_: object, sentence: str) -> None:
        """Adds a difference."""
        self.differing[where] += 1
        if len(self.differences) < self.limit:
            self.differences.append(Difference(customer, where, shown(id_), sentence))

    def add(self, others: "Findings") -> None:
        """Takes over what was found elsewhere."""
        self.checked += others.checked
        self.differing += others.differing
        self.differences += others.differences[: self.limit - len(self.differences)]

    @property
    def total(self) -> int:
        """How many differences there are, shown or not."""
        return self.differing.total()


def shown(id_: object) -> str:
    """A document's id as the shell of the database takes it: keys of events as hexadecimal."""
    return id_.hex() if isinstance(id_, bytes) else str(id_)
