"""Parked events: who waits, since which event, and what became of those that waited."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from cli.verify.documents import customer_of, unlike
from cli.verify.findings import Findings
from shared.contracts.decisions import number, place, position
from shared.runtime.ports import Document


@dataclass(slots=True)
class Parked:
    """What one service let wait in one partition; told of each event in the order of the log."""

    service: str
    records: dict[int, Document]
    customers: dict[str, Document]
    found: Findings
    origins: dict[int, Document] = field(default_factory=dict)
    """Events that waited, by the number of the decision that ended it."""
    waits: Counter[str] = field(default_factory=Counter)
    """How many of a customer's events wait at the present place of the log."""
    _first: dict[str, Document] = field(default_factory=dict)
    _waiting: Counter[str] = field(default_factory=Counter)

    @property
    def where(self) -> str:
        """The collection of waiting events."""
        return f"{self.service}.parked"

    def meet(self, event: Document, at: int) -> bool:
        """Whether the event, whose own number is `at`, waits or waited."""
        record = self.records.pop(at, None)
        if record is None:
            return False
        self.found.checked[self.where] += 1
        key = customer_of(event)
        expected = {name: event[name] for name in ("tenant", "customer", "action", "at")}
        expected["event"] = event["id"]
        if "decision" not in record:
            expected["value"] = event["body"].encode()
            self._first.setdefault(key, record)
            self._waiting[key] += 1
        elif (decision := record["decision"]) in self.origins:
            sentence = f"names the decision {decision}, as another does"
            self.found.differ(self.where, key, at, sentence)
        else:
            self.origins[decision] = event
        if wrong := unlike(record, expected):
            self.found.differ(self.where, key, at, wrong)
        self.waits[key] += 1
        return True

    def decided(self, decision: Document) -> Document | None:
        """The event that waited for this decision; `None`: none did, it was decided at its own
        place."""
        event = self.origins.pop(decision["_id"], None)
        if event is not None:
            self.waits[customer_of(event)] -= 1
            if event["id"] != decision["event"]:
                sentence = f"names the decision {decision['_id']}, which is another event's"
                self.found.differ(self.where, customer_of(event), _own(event), sentence)
        return event

    def finish(self) -> None:
        """After the last event of the log."""
        for at, record in self.records.items():
            sentence = f"stands for {position(*place(at))}, where no event is stored"
            self.found.differ(self.where, customer_of(record), at, sentence)
        for decision, event in self.origins.items():
            sentence = f"waited for the decision {decision}, which is not stored"
            self.found.differ(self.where, customer_of(event), _own(event), sentence)
        for key, record in self._first.items():
            if key not in self.customers:
                sentence = "waits, but its customer is not parked"
                self.found.differ(self.where, key, record["_id"], sentence)
        for key, customer in self.customers.items():
            if wrong := self._wrong(key, customer):
                self.found.differ(f"{self.service}.parked_customers", key, key, wrong)

    def _wrong(self, key: str, customer: Document) -> str:
        first = self._first.get(key)
        if first is None:
            return "is parked, but no event of it waits"
        expected: Document = {"waiting": self._waiting[key]}
        if "unparking" not in customer:
            expected["event"] = first["event"]
        wrong = unlike(customer, expected)
        # What was first may be decided by now, where the rule raised again on a later one.
        if customer["first"] > first["_id"]:
            wrong = f"first is {customer['first']}, but {first['_id']} waits"
        return wrong


def _own(event: Document) -> int:
    """The number that stands for its own place in the log."""
    return number(event["partition"], event["seq"])


def parked_of(
    service: str, records: Iterable[Document], customers: Iterable[Document], found: Findings
) -> Parked:
    """From the stored documents."""
    return Parked(
        service,
        {record["_id"]: record for record in records},
        {customer["_id"]: customer for customer in customers},
        found,
    )
