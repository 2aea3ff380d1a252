"""The owner: the projector's handler of every service that decides events of the log.

It knows batches: which states are needed, one event after the other, what is written. What an event
means is for the service's rules.
"""

import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
import structlog

from shared.contracts.actions import BUILT, CONTROL
from shared.contracts.decisions import position
from shared.contracts.events import Event, Unpark
from shared.contracts.outcomes import outcome_of
from shared.contracts.topics import LOG
from shared.runtime.deciding import (
    DECISIONS,
    ORDINAL_MAX,
    Decided,
    announcements,
    outcome_message,
)
from shared.runtime.kept import Kept
from shared.runtime.messages import read_events
from shared.runtime.parking import UNPARKED_EVENTS_MAX, Parking, ParkingOfBatch, reason
from shared.runtime.ports import (
    BrokenInvariant,
    Conflict,
    Cursor,
    Dead,
    Document,
    Message,
    Outgoing,
    Transaction,
    Unavailable,
)

State = TypeVar("State")
log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Customer(NamedTuple):
    """Whose state it is, and where."""

    tenant: str
    id: str
    partition: int

    @property
    def key(self) -> str:
        """`tenant/customer`: unique, since a tenant id has no slash."""
        return f"{self.tenant}/{self.id}"


class Change(NamedTuple, Generic[State]):
    """A customer's state before and after a batch."""

    of: Customer
    before: State
    after: State


class Rules(Protocol[State]):
    """What a service knows of its events and documents. Reads raise `Unavailable`."""

    def states(self, keys: Collection[str]) -> dict[str, State]:
        """The stored states by `tenant/customer`; one that has none is what a stranger is."""

    def needs(self, event: Event, state: State) -> object:
        """What else must be loaded for the event; falsy: nothing. Pure, and may raise as a rule."""

    def load(self, needed: Sequence[tuple[Event, Any]], states: dict[str, State]) -> None:
        """Loads what `needs` said of the batch's events into the states."""

    def decide(self, event: Event, state: State, decided: Decided) -> State:
        """Decides one event and records the decision; the state after it. Pure but for that, and
        what it raises comes before it records."""

    def check(self, change: Change[State]) -> None:
        """The invariants of a changed state. Raises `BrokenInvariant`."""

    def differs(self, before: State, after: State) -> bool:
        """Whether there is something to store."""

    def store(self, transaction: Transaction, changes: Sequence[Change[State]]) -> None:
        """Writes the changed states."""

    def kept(self, state: State) -> State:
        """What of a stored state stays in memory."""


Unannounced = Callable[[Cursor], Iterable[Document]]
"""Decisions behind the acknowledged mark of a partition."""


class Owner(Generic[State]):
    """The handler (see `ports.Handler`) for `events.log`. `kept_max`: customers in memory."""

    def __init__(
        self,
        service: str,
        rules: Rules[State],
        parking: Parking,
        unannounced: Unannounced,
        kept_max: int,
    ) -> None:
        self._service = service
        self._rules = rules
        self._parking = parking
        self._unannounced = unannounced
        self._kept: Kept[State] = Kept(kept_max)

    def due(self, cursors: Mapping[int, Cursor]) -> bool:
        """States change by messages alone, and by unparking."""
        return self._parking.is_due(cursors)

    def decide(
        self, messages: Sequence[Message], cursors: Mapping[int, Cursor]
    ) -> "OwnerWork[State]":
        """Loads what the batch needs, then decides event by event: first what is unparked."""
        read, letters = read_events(messages)
        work = OwnerWork(
            self._service,
            self._rules,
            Decided(self._service, cursors, _lineage(messages, cursors)),
            ParkingOfBatch(self._parking.waiting(cursors)),
            self._keep,
            letters,
        )
        unparked = list(self._unparked(work.parking))
        self._load([*unparked, *(event for event, _ in read)], work)
        for event in unparked:
            work.unpark(event, cursors[event.partition].seen[LOG.name])
        for event, message in read:
            work.take(event, message)
        work.check()
        return work

    def resend(self, cursor: Cursor) -> Iterable[Outgoing]:
        """Decisions behind the acknowledged mark, announced again."""
        return announcements(self._unannounced(cursor), self._service, cursor.lineage)

    def forget(self, partitions: Collection[int]) -> None:
        """Drops what is known of these partitions."""
        self._kept.forget(partitions)
        self._parking.forget(partitions)

    def _unparked(self, parking: ParkingOfBatch) -> Iterator[Event]:
        left = UNPARKED_EVENTS_MAX
        for customer in parking.unparking():
            events = self._parking.events(customer, left)
            left -= len(events)
            yield from events
            if not left:
                return

    def _load(self, events: Sequence[Event], work: "OwnerWork[State]") -> None:
        customers = {
            event.key: Customer(event.tenant, event.customer, event.partition) for event in events
        }
        states = self._kept.known(customers)
        if missing := customers.keys() - states.keys():
            states |= self._rules.states(missing)
        needed: list[tuple[Event, Any]] = []
        for event in events:
            try:
                if needs := self._rules.needs(event, states[event.key]):
                    needed.append((event, needs))
            except Exception as error:  # noqa: BLE001  # a rule's: its event is parked
                work.failed[event.number] = _rules_own(error)
        self._rules.load(needed, states)
        work.customers, work.before, work.after = customers, states, dict(states)

    def _keep(self, work: "OwnerWork[State]") -> None:
        for key, state in work.after.items():
            self._kept.keep(work.customers[key].partition, key, self._rules.kept(state))
        self._parking.keep(work.parking)


@dataclass(slots=True)
class OwnerWork(Generic[State]):
    """A decided batch (see `ports.Work`): states before it, and after it."""

    service: str
    rules: Rules[State]
    decided: Decided
    parking: ParkingOfBatch
    keep: Callable[["OwnerWork[State]"], None]
    letters: list[Dead]
    customers: dict[str, Customer] = field(default_factory=dict)
    before: dict[str, State] = field(default_factory=dict)
    after: dict[str, State] = field(default_factory=dict)
    failed: dict[int, Exception] = field(default_factory=dict)
    """What the rules raised on events before they were decided, by number."""
    _parked: list[Outgoing] = field(default_factory=list)

    @property
    def dead(self) -> Sequence[Dead]:
        """What cannot be read, and the events on which a rule raised."""
        return self.letters

    def take(self, event: Event, message: Message) -> None:
        """Decides an event of the log, or lets it wait behind those of its customer that do."""
        if event.action in CONTROL:
            if isinstance(event.data, Unpark) and event.data.service == self.service:
                self.parking.start(event)
        elif event.key in self.parking.waiting:
            self._park(event, message)
        elif error := self._raised(event, event.number):
            self.letters.append(Dead(message, f"a rule raised {reason(error)}"))
            self._park(event, message, error)

    def unpark(self, event: Event, seq: int) -> None:
        """Decides an event that waited at the place `seq` of the log, with its original stamps."""
        ordinal = self.decided.ordinal(event.partition, seq)
        if "unparking" not in self.parking.waiting[event.key] or ordinal > ORDINAL_MAX:
            return  # the one before it raised again; or no number is left here: the next message
        before = len(self.decided.documents)
        placed = msgspec.structs.replace(event, seq=seq, ordinal=ordinal)
        if error := self._raised(placed, event.number):
            self.parking.raised_again(event, error)
            return
        recorded = self.decided.documents[before:]
        self.parking.decided(event, recorded[0]["_id"] if recorded else None)

    def check(self) -> None:
        """The invariants of every customer that changed. Raises `BrokenInvariant`."""
        for change in self._changes():
            self.rules.check(change)

    def prepare(self, transaction: Transaction) -> None:
        """Nothing is read inside the transaction: nobody else writes these customers."""

    def last(self) -> Mapping[int, int]:
        """The number of the last decision, by partition."""
        return self.decided.last

    def marks(self) -> Mapping[int, Mapping[str, Any]]:
        """No marks beside the positions; a partition where only waiting changed moves as well."""
        return {partition: {} for partition in self.parking.partitions()}

    def write(self, transaction: Transaction) -> None:
        """Decisions, what they changed, and who waits."""
        transaction.insert(DECISIONS, self.decided.documents)
        self.rules.store(transaction, list(self._changes()))
        self.parking.write(transaction)

    def outgoing(self) -> Iterable[Outgoing]:
        """Facts, and outcomes for those who wait."""
        yield from self.decided.outgoing()
        yield from self._parked

    def committed(self) -> None:
        """What is stored now is what is known."""
        self.keep(self)
        self.decided.count()

    def _raised(self, event: Event, own_number: int) -> Exception | None:
        """Decides one event on the state that those before it left; what a rule raised, if one
        did: then nothing of the event is recorded."""
        if own_number in self.failed:
            return self.failed[own_number]
        try:
            self.after[event.key] = self.rules.decide(event, self.after[event.key], self.decided)
        except Exception as error:  # noqa: BLE001  # whatever a rule raises: its customer waits
            return _rules_own(error)
        return None

    def _park(self, event: Event, message: Message, error: Exception | None = None) -> None:
        document = self.parking.park(event, message, error)
        if error is not None:
            log.error(
                "customer_parked",
                service=self.service,
                tenant=event.tenant,
                event_id=event.id,
                action=event.action,
                position=position(event.partition, event.seq),
                raised=type(error).__name__,
                place=_line_of(error),
            )
        if event.reply_to and BUILT[event.action].owner == self.service:
            self._parked.append(
                outcome_message(event.tenant, event.id, event.reply_to, outcome_of(document))
            )

    def _changes(self) -> Iterator[Change[State]]:
        return (
            Change(self.customers[key], before, self.after[key])
            for key, before in self.before.items()
            if self.rules.differs(before, self.after[key])
        )


def _line_of(error: Exception) -> str:
    """Where it was raised. Not the error's words, which may quote the event."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno}"


def _rules_own(error: Exception) -> Exception:
    """The error, if it may be a rule's; what the world or a broken invariant raised goes on."""
    if isinstance(error, BrokenInvariant | Conflict | Unavailable):
        raise error
    return error


def _lineage(messages: Sequence[Message], cursors: Mapping[int, Cursor]) -> str:
    if messages:
        return messages[0].headers.get("lineage", "")
    return next((cursor.lineage for cursor in cursors.values() if cursor.lineage), "")
