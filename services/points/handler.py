"""The handler: a batch of the log in, decisions and changed states out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from services.points.documents import (
    AccountOf,
    Change,
    Customer,
    first_checkout,
    transaction_document,
)
from services.points.domain.balances import balances_after
from services.points.domain.checkouts import transaction_of
from services.points.domain.customers import CustomerPoints
from services.points.domain.decide import decide
from services.points.domain.evolve import fold
from services.points.domain.invariants import broken
from services.points.domain.needs import needs_checkout, needs_lots
from services.points.domain.program import Program, program_of
from services.points.repository import PointsRepository
from shared.contracts.events import Event
from shared.runtime.deciding import Decided, announcements, rules_of
from shared.runtime.kept import Kept
from shared.runtime.messages import read_events
from shared.runtime.ports import BrokenInvariant, Cursor, Dead, Message, Outgoing, Transaction
from shared.runtime.programs import Programs

SERVICE = "points"
STATES_KEPT_MAX = 20_000
"""Customers in memory; about 2 kB each, and 300 bytes more per kept lot."""
LOTS_KEPT_MAX = 32
"""Open lots of one account that are kept in memory; an account with more is read when needed."""
PROGRAMS_KEPT_MAX = 256


class Points:
    """The projector's handler (see `ports.Handler`) for `events.log`."""

    def __init__(self, repository: PointsRepository, programs: Programs) -> None:
        self._repository = repository
        self._kept: Kept[CustomerPoints] = Kept(STATES_KEPT_MAX)
        self._program = lru_cache(PROGRAMS_KEPT_MAX)(
            lambda tenant, version: program_of(programs.at(tenant, version))
        )

    def due(self, cursors: Mapping[int, Cursor]) -> bool:  # noqa: ARG002  # as the port is
        """Points change by messages alone."""
        return False

    def decide(self, messages: Sequence[Message], cursors: Mapping[int, Cursor]) -> "PointsWork":
        """Loads what the batch needs in at most three finds, then decides event by event."""
        events, letters = read_events(messages)
        lineage = messages[0].headers.get("lineage", "") if messages else ""
        work = PointsWork(Decided(SERVICE, cursors, lineage), self._kept, letters)
        self._load(events, work)
        for event in events:
            with rules_of(event):
                work.decide(event, self._program_of(event))
        work.check()
        return work

    def resend(self, cursor: Cursor) -> Iterable[Outgoing]:
        """Decisions behind the acknowledged mark, announced again."""
        return announcements(self._repository.unannounced(cursor), SERVICE, cursor.lineage)

    def forget(self, partitions: Collection[int]) -> None:
        """Drops the states of these partitions."""
        self._kept.forget(partitions)

    def _program_of(self, event: Event) -> Program:
        return self._program(event.tenant, event.program)

    def _load(self, events: Sequence[Event], work: "PointsWork") -> None:
        customers = {event.key: _customer(event) for event in events}
        states = self._kept.known(customers)
        if missing := customers.keys() - states.keys():
            states |= self._repository.states(missing)
        self._load_lots(events, states)
        self._load_checkouts(events, states)
        work.customers, work.before, work.after = customers, states, dict(states)

    def _load_lots(self, events: Iterable[Event], states: dict[str, CustomerPoints]) -> None:
        wanted = {
            AccountOf(event.key, state.generation, id_): state.accounts[id_]
            for event in events
            for state in [states[event.key]]
            for id_ in needs_lots(event, state, self._program_of(event))
        }
        for of, pages in self._repository.lots(wanted).items():
            states[of.key] = states[of.key].with_lots(of.account, pages)

    def _load_checkouts(self, events: Iterable[Event], states: dict[str, CustomerPoints]) -> None:
        wanted = {
            (_customer(event), id_)
            for event in events
            if (id_ := needs_checkout(event)) and states[event.key].standing is not None
        }
        for (key, id_), decision, first in self._repository.first_checkouts(wanted):
            if decision >= states[key].since:
                states[key] = states[key].with_checkouts({id_: first})


@dataclass(slots=True)
class PointsWork:
    """A decided batch (see `ports.Work`): states before it, and after it."""

    decided: Decided
    kept: Kept[CustomerPoints]
    dead: Sequence[Dead]
    customers: dict[str, Customer] = field(default_factory=dict)
    before: dict[str, CustomerPoints] = field(default_factory=dict)
    after: dict[str, CustomerPoints] = field(default_factory=dict)

    def decide(self, event: Event, program: Program) -> None:
        """One event on the state that those before it left."""
        state = self.after[event.key]
        decision = decide(event, state, program)
        if decision.outcome == "followed" and not decision.facts:
            return  # another's event that changes nothing here: no decision of ours
        state = fold(state, decision, event)
        transaction = transaction_of(event, decision, program)
        result = {"balances": balances_after(decision, transaction, state)}
        kept = transaction_document(transaction)
        document = self.decided.record(event, decision, result, kept)
        if transaction is not None:
            state = state.with_checkouts({transaction.id: first_checkout(document)})
        self.after[event.key] = state

    def check(self) -> None:
        """The invariants of every account that changed. Raises `BrokenInvariant`."""
        for change in self._changes():
            for account in change.after.accounts.values():
                if account is not change.before.accounts.get(account.id) and (
                    wrong := broken(account)
                ):
                    raise BrokenInvariant(f"{change.of.key}: {wrong}")

    def prepare(self, transaction: Transaction) -> None:
        """Nothing is read inside the transaction: nobody else writes these customers."""

    def last(self) -> Mapping[int, int]:
        """The number of the last decision, by partition."""
        return self.decided.last

    def marks(self) -> Mapping[int, Mapping[str, Any]]:
        """No marks beside the positions."""
        return {}

    def write(self, transaction: Transaction) -> None:
        """Decisions, and what they changed."""
        PointsRepository.store(transaction, self.decided.documents, self._changes())

    def outgoing(self) -> Iterable[Outgoing]:
        """Facts, and outcomes for those who wait."""
        return self.decided.outgoing()

    def committed(self) -> None:
        """What is stored now is what is known."""
        for key, state in self.after.items():
            stored = state.stored(lots_kept_max=LOTS_KEPT_MAX)
            self.kept.keep(self.customers[key].partition, key, stored)

    def _changes(self) -> Iterable[Change]:
        return (
            Change(self.customers[key], before, self.after[key])
            for key, before in self.before.items()
            if self.after[key].differs_from(before)
        )


def _customer(event: Event) -> Customer:
    return Customer(event.tenant, event.customer, event.partition)
