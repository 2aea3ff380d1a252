"""Recorded parking: whose events waited, and where they were decided, as live traffic noted it.

A mended rule raises no more; where it raised once, decisions are numbered at the places of the log
at which they were unparked (DESIGN section 4). So a rebuild follows the record: it parks where live
traffic parked, and unparks where live traffic unparked.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from pymongo.database import Database

from shared.contracts.decisions import number, place
from shared.contracts.events import Event
from shared.contracts.topics import LOG
from shared.runtime.mongo import store_errors
from shared.runtime.parking import EVENTS, Parking, ParkingOfBatch
from shared.runtime.ports import Cursor, Document, Message

NOWHERE = 1 << 62
"""Behind every place of the log."""


class Record(NamedTuple):
    """An event that live traffic parked: its `tenant/customer`, and the log position at which it
    was decided (`NOWHERE`: it waits) by the decision of this number."""

    key: str
    decided_at: int
    decision: int
    document: Document


Records = Mapping[int, Record]
"""By the event's number."""


def read_records(documents: Iterable[Document]) -> Records:
    """From the live `parked`."""
    return {int(document["_id"]): _record(document) for document in documents}


def _record(document: Document) -> Record:
    decision = document.get("decision")
    decided_at = NOWHERE if decision is None else place(decision)[1]
    key = f"{document['tenant']}/{document['customer']}"
    return Record(key, decided_at, int(decision or 0), document)


class RecordedParking(Parking):
    """The parking of the second set. Beside what it parks itself since a rule raises, it parks and
    unparks what is recorded; `queues` holds what waits in it, by partition and customer.

    An event that has no record was parked too where an earlier one of its customer waited: one that
    changed nothing when it was decided leaves none. Being in the queue, it is decided in its turn.
    """

    def __init__(self, service: str, database: Database[Document], suffix: str) -> None:
        super().__init__(service, database, suffix)
        self._parked = database[EVENTS + suffix]
        self._records: Records = {}
        self._queues: dict[int, dict[str, list[int]]] = {}
        self._starts: dict[str, Document] = {}
        self._unparks: dict[str, Document] = {}
        self._at = 0

    def follow(self, records: Records) -> None:
        """The record of the partition that is built now."""
        self._records = records

    def unparks(self, cursor: Cursor) -> bool:
        """Whether the next batch is to unpark somebody where the cursor stands."""
        self._starts, self._at = {}, cursor.seen.get(LOG.name, 0)
        waiting = super().waiting([cursor.partition])
        here = sorted(
            (record.decision, record.key)
            for record in self._heads(cursor.partition)
            if record.decided_at <= self._at
        )
        self._unparks = {key: {**waiting[key], "unparking": True} for _, key in here}
        return bool(here)

    def together(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The first of these messages, to the place where the record parks or unparks somebody."""
        partition = messages[0].partition
        parked = set(super().waiting([partition]))
        if not parked and not self._records:
            return messages
        stop = min((head.decided_at for head in self._heads(partition)), default=NOWHERE)
        for index, message in enumerate(messages):
            seq = int(message.headers["seq"])
            record = self._records.get(number(partition, seq))
            if record is not None and record.key not in parked:
                if index:
                    return messages[:index]
                parked.add(record.key)
                self._starts = {record.key: _parked_customer(record, partition)}
                stop = min(stop, record.decided_at)
            if seq >= stop:
                return messages[: index + 1]
        return messages

    def waiting(self, partitions: Collection[int]) -> dict[str, Document]:
        """The parked customers, those first that the record unparks here, in its order."""
        found = super().waiting(partitions)
        for customer in found.values():
            customer.pop("unparking", None)
        rest = {key: each for key, each in found.items() if key not in self._unparks}
        return {**self._unparks, **rest, **self._starts}

    def events(self, customer: Document, limit: int) -> list[Event]:
        """Of the customer's waiting events those that were decided here."""
        found = super().events(customer, limit)
        return list(takewhile(lambda event: self._was_decided_here(event.number), found))

    def keep(self, batch: ParkingOfBatch) -> None:
        """Who waits longest is decided first: what is left of a queue is its end."""
        super().keep(batch)
        for event, document in batch.parked.items():
            queues = self._queues[place(event)[0]]
            queues.setdefault(f"{document['tenant']}/{document['customer']}", []).append(event)
        for queues in self._queues.values():
            for key in batch.touched & queues.keys():
                if left := batch.waiting.get(key, {}).get("waiting", 0):
                    queues[key] = queues[key][-left:]
                else:
                    del queues[key]

    def forget(self, partitions: Collection[int]) -> None:
        """Nothing is known until it is read again."""
        super().forget(partitions)
        for partition in partitions:
            self._queues.pop(partition, None)

    def raised(self, partition: int) -> list[Document]:
        """Customers on whose event a rule raised, which had decided it once."""
        return [each for each in super().waiting([partition]).values() if each["raised"]]

    def _heads(self, partition: int) -> Iterator[Record]:
        """The records of those events that are the next of their customers."""
        waiting = super().waiting([partition])
        for key, queue in self._queues[partition].items():
            record = self._records.get(queue[0])
            # A rule that raises now keeps its customer parked, wherever this was decided once.
            if record is not None and not waiting[key]["raised"]:
                yield record

    def _was_decided_here(self, event: int) -> bool:
        record = self._records.get(event)
        return record is None or record.decided_at <= self._at

    def _read(self, partition: int) -> dict[str, Document]:
        wanted = {
            "_id": {"$gte": number(partition, 0), "$lt": number(partition + 1, 0)},
            "value": {"$exists": True},
        }
        queues: dict[str, list[int]] = {}
        with store_errors():
            for event in self._parked.find(wanted, {"tenant": 1, "customer": 1}).sort("_id", 1):
                queues.setdefault(f"{event['tenant']}/{event['customer']}", []).append(event["_id"])
        self._queues[partition] = queues
        return super()._read(partition)


def _parked_customer(record: Record, partition: int) -> Document:
    """As the live service makes it, but that no rule has raised here."""
    document = record.document
    return {
        "_id": record.key,
        "tenant": document["tenant"],
        "customer": document["customer"],
        "partition": partition,
        "since": document["at"],
        "first": document["_id"],
        "event": document["event"],
        "action": document["action"],
        "reason": "recorded",
        "waiting": 0,
        "raised": 0,
    }
