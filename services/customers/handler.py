"""The handler: a batch of the log in, decisions and changed profiles out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.customers.domain.decide import decide
from services.customers.domain.evolve import fold
from services.customers.domain.profiles import Profile
from services.customers.repository import Customer, CustomersRepository
from shared.contracts.events import Event
from shared.contracts.program import Settings
from shared.contracts.standing import shown
from shared.runtime.deciding import Decided, announcements, rules_of
from shared.runtime.kept import Kept
from shared.runtime.messages import read_events
from shared.runtime.ports import Cursor, Dead, Message, Outgoing, Transaction
from shared.runtime.programs import Programs

SERVICE = "customers"
PROFILES_KEPT_MAX = 50_000
"""Customers in memory, about 1 kB each."""
ANONYMOUS = Settings().anonymous_events
"""What a program that says nothing means."""


class Customers:
    """The projector's handler (see `ports.Handler`) for `events.log`."""

    def __init__(self, repository: CustomersRepository, programs: Programs) -> None:
        self._repository = repository
        self._programs = programs
        self._kept: Kept[Profile] = Kept(PROFILES_KEPT_MAX)

    def due(self, cursors: Mapping[int, Cursor]) -> bool:  # noqa: ARG002  # as the port is
        """Profiles change by messages alone."""
        return False

    def decide(self, messages: Sequence[Message], cursors: Mapping[int, Cursor]) -> "CustomersWork":
        """Loads the profiles of the batch in one find, then decides event by event."""
        events, letters = read_events(messages)
        lineage = messages[0].headers.get("lineage", "") if messages else ""
        work = CustomersWork(Decided(SERVICE, cursors, lineage), self._kept, letters)
        self._load(events, work)
        for event in events:
            with rules_of(event):
                work.decide(event, anonymous_events=self._anonymous_events(event))
        return work

    def resend(self, cursor: Cursor) -> Iterable[Outgoing]:
        """Decisions behind the acknowledged mark, announced again."""
        return announcements(self._repository.unannounced(cursor), SERVICE, cursor.lineage)

    def forget(self, partitions: Collection[int]) -> None:
        """Drops the profiles of these partitions."""
        self._kept.forget(partitions)

    def _load(self, events: Iterable[Event], work: "CustomersWork") -> None:
        for event in events:
            work.customers[event.key] = Customer(event.tenant, event.customer, event.partition)
        work.before = self._kept.known(work.customers)
        if missing := work.customers.keys() - work.before.keys():
            work.before |= self._repository.profiles(missing)
        work.after = dict(work.before)

    def _anonymous_events(self, event: Event) -> bool:
        """Of the program's settings all that concerns us."""
        entities = self._programs.at(event.tenant, event.program).get("settings", {})
        name = "anonymous_events"
        return any(each["document"].get(name, ANONYMOUS) for each in entities.values())


@dataclass(slots=True)
class CustomersWork:
    """A decided batch (see `ports.Work`): profiles before it, and after it."""

    decided: Decided
    kept: Kept[Profile]
    dead: Sequence[Dead]
    customers: dict[str, Customer] = field(default_factory=dict)
    before: dict[str, Profile] = field(default_factory=dict)
    after: dict[str, Profile] = field(default_factory=dict)

    def decide(self, event: Event, *, anonymous_events: bool) -> None:
        """One event on the profile that those before it left."""
        profile = self.after[event.key]
        decision = decide(event, profile, anonymous_events=anonymous_events)
        if decision.outcome == "followed" and not decision.facts:
            return  # another's event that changes nothing here: no decision of ours
        profile = self.after[event.key] = fold(profile, decision, event)
        status = {} if profile.standing is None else {"status": shown(profile.standing)}
        self.decided.record(event, decision, status)

    def prepare(self, transaction: Transaction) -> None:
        """Nothing is read inside the transaction: nobody else writes these customers."""

    def last(self) -> Mapping[int, int]:
        """The number of the last decision, by partition."""
        return self.decided.last

    def marks(self) -> Mapping[int, Mapping[str, Any]]:
        """No marks beside the positions."""
        return {}

    def write(self, transaction: Transaction) -> None:
        """Decisions, and the profiles that they changed."""
        changed = [
            (self.customers[key], after)
            for key, after in self.after.items()
            if after is not self.before[key]
        ]
        CustomersRepository.store(transaction, self.decided.documents, changed)

    def outgoing(self) -> Iterable[Outgoing]:
        """Facts, and outcomes for those who wait."""
        return self.decided.outgoing()

    def committed(self) -> None:
        """What is stored now is what is known."""
        for key, profile in self.after.items():
            self.kept.keep(self.customers[key].partition, key, profile)
