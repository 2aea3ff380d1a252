"""Parking: a customer on whose event a rule raised waits, with all that follows, until unparked.

Nobody else is held up, nothing is skipped, and no number is missing: a parked event has no decision
until an `unpark` has it decided, in order and with its original stamps (DESIGN section 4, Poison).
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from bson.binary import Binary
from pymongo.database import Database

from shared.contracts.events import Event
from shared.contracts.outcomes import PARKED
from shared.runtime import metrics
from shared.runtime.messages import read_event
from shared.runtime.mongo import store_errors
from shared.runtime.ports import Document, Message, Transaction

EVENTS = "parked"
CUSTOMERS = "parked_customers"
UNPARKED_EVENTS_MAX = 500
"""Parked events that one batch decides, beside its messages."""
REASON_CHARACTERS_MAX = 500


class Parking:
    """Whose events wait: read once for each partition taken over, then kept in step. `suffix`: of
    the collections' names, for a second set of them."""

    def __init__(self, service: str, database: Database[Document], suffix: str = "") -> None:
        self._service = service
        self._events = database[EVENTS + suffix]
        self._customers = database[CUSTOMERS + suffix]
        self._waiting: dict[int, dict[str, Document]] = {}

    def create_indexes(self) -> None:
        """Waiting events by customer, customers by partition."""
        with store_errors():
            self._events.create_index([("tenant", 1), ("customer", 1), ("_id", 1)])
            self._customers.create_index([("partition", 1)])

    def waiting(self, partitions: Collection[int]) -> dict[str, Document]:
        """The parked customers of these partitions, by `tenant/customer`."""
        found: dict[str, Document] = {}
        unread = [partition for partition in partitions if partition not in self._waiting]
        for partition in unread:
            self._waiting[partition] = self._read(partition)
        if unread:
            self._report()  # a worker that starts anew has them still
        for partition in partitions:
            found |= self._waiting[partition]
        return found

    def is_due(self, partitions: Iterable[int]) -> bool:
        """Whether a customer of these partitions is being unparked."""
        return any(
            "unparking" in customer
            for partition in partitions
            for customer in self._waiting.get(partition, {}).values()
        )

    def events(self, customer: Document, limit: int) -> list[Event]:
        """The customer's next waiting events, in order. They were readable when they were put."""
        wanted = {
            "tenant": customer["tenant"],
            "customer": customer["customer"],
            "value": {"$exists": True},
        }
        with store_errors():
            found = self._events.find(wanted).sort("_id", 1).limit(limit)
            return [read_event(_message(document, customer["partition"])) for document in found]

    def keep(self, batch: "ParkingOfBatch") -> None:
        """What a batch changed is committed."""
        if not batch.touched:
            return
        for key, customer in batch.changed().items():
            self._waiting[customer["partition"]][key] = customer
        for key, customer in batch.gone().items():
            del self._waiting[customer["partition"]][key]
        self._report()

    def forget(self, partitions: Collection[int]) -> None:
        """Somebody else may park and unpark there now."""
        for partition in partitions:
            self._waiting.pop(partition, None)
        self._report()

    def _read(self, partition: int) -> dict[str, Document]:
        with store_errors():
            return {each["_id"]: each for each in self._customers.find({"partition": partition})}

    def _report(self) -> None:
        customers = [each for held in self._waiting.values() for each in held.values()]
        metrics.PARKED_CUSTOMERS.labels(self._service).set(len(customers))
        metrics.PARKED_EVENTS.labels(self._service).set(sum(each["waiting"] for each in customers))


@dataclass(slots=True)
class ParkingOfBatch:
    """What one batch parks and unparks. `waiting`: the parked customers at its present point."""

    waiting: dict[str, Document]
    parked: dict[int, Document] = field(default_factory=dict)
    """Events that this batch parks, by number."""
    touched: set[str] = field(default_factory=set)
    """The customers of whom something changes."""
    _before: dict[str, Document] = field(default_factory=dict)
    _decided: list[tuple[int, Document]] = field(default_factory=list)
    _dropped: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._before = dict(self.waiting)

    def unparking(self) -> Iterator[Document]:
        """The customers whose events are to be decided now."""
        return (each for each in list(self.waiting.values()) if "unparking" in each)

    def park(self, event: Event, message: Message, error: Exception | None = None) -> Document:
        """Lets an event wait; `error`: a rule raised it, and so the customer is parked."""
        document = _parked(event, message)
        self.parked[event.number] = document
        customer = self.waiting.get(event.key) or _customer(event)
        if error is not None:
            customer = _raised(customer, event, error)
        self._set(event.key, {**customer, "waiting": customer["waiting"] + 1})
        return document

    def start(self, event: Event) -> None:
        """An `unpark`: from now on this customer's events are decided. Nothing waits: nothing."""
        if customer := self.waiting.get(event.key):
            self._set(event.key, {**customer, "unparking": True})

    def decided(self, event: Event, number: int | None) -> None:
        """A waiting event is decided, by the decision of this number; `None`: it concerns us not.
        `event` stands at its own place."""
        if number is None:
            self._dropped.append(event.number)
        else:
            gone = dict.fromkeys(("headers", "key", "value", "offset"), "")
            self._decided.append((event.number, {"$set": {"decision": number}, "$unset": gone}))
        customer = self.waiting[event.key]
        left = customer["waiting"] - 1
        if left:
            self._set(event.key, {**customer, "waiting": left})
        else:
            self.touched.add(event.key)
            del self.waiting[event.key]

    def raised_again(self, event: Event, error: Exception) -> None:
        """The rule still raises on the first of the waiting events: it stays the first."""
        customer = _raised(self.waiting[event.key], event, error)
        customer.pop("unparking")
        self._set(event.key, customer)

    def write(self, transaction: Transaction) -> None:
        """Everything in the batch's transaction; most batches have nothing of it."""
        if not self.touched:
            return
        transaction.insert(EVENTS, list(self.parked.values()))
        transaction.update(EVENTS, self._decided)
        transaction.remove(EVENTS, self._dropped)
        transaction.put(CUSTOMERS, list(self.changed().values()))
        transaction.remove(CUSTOMERS, list(self.gone()))

    def partitions(self) -> set[int]:
        """Where something changes."""
        customers = [*self.changed().values(), *self.gone().values()]
        return {customer["partition"] for customer in customers}

    def changed(self) -> dict[str, Document]:
        """The customers that are parked after this batch and that it touched."""
        return {key: self.waiting[key] for key in self.touched if key in self.waiting}

    def gone(self) -> dict[str, Document]:
        """The customers that were parked before this batch and are not any more."""
        gone = self.touched - self.waiting.keys()
        return {key: self._before[key] for key in gone if key in self._before}

    def _set(self, key: str, customer: Document) -> None:
        self.touched.add(key)
        self.waiting[key] = customer


def _parked(event: Event, message: Message) -> Document:
    """A waiting event: what answers who asks for it, and the message to decide later."""
    return {
        "_id": event.number,
        "tenant": event.tenant,
        "customer": event.customer,
        "event": event.id,
        "action": event.action,
        "at": event.recorded_at,
        "time": event.time,
        "outcome": PARKED,
        "headers": dict(message.headers),
        "key": Binary(message.key),
        "value": Binary(message.value),
        "offset": message.offset,
    }


def _message(document: Document, partition: int) -> Message:
    return Message(
        topic="events.log",
        partition=partition,
        offset=document["offset"],
        key=bytes(document["key"]),
        value=bytes(document["value"]),
        headers=document["headers"],
    )


def _customer(event: Event) -> Document:
    return {
        "_id": event.key,
        "tenant": event.tenant,
        "customer": event.customer,
        "partition": event.partition,
        "since": event.recorded_at,
        "first": event.number,
        "waiting": 0,
        "raised": 0,
    }


def _raised(customer: Document, event: Event, error: Exception) -> Document:
    """`raised` counts: an unpark that raises at once is told from one that has not begun."""
    told = {"event": event.id, "action": event.action, "reason": reason(error)}
    return {**customer, **told, "raised": customer["raised"] + 1}


def reason(error: Exception) -> str:
    """What a rule raised: its kind and its own words, which hold no data that names a person."""
    return f"{type(error).__name__}: {error}"[:REASON_CHARACTERS_MAX]
