"""The rules of customers as the owner of a batch calls them: profiles in, decisions out."""

from collections.abc import Collection, Sequence
from typing import Any

from services.customers.domain.decide import decide
from services.customers.domain.evolve import fold
from services.customers.domain.profiles import Profile
from services.customers.repository import CustomersRepository
from shared.contracts.events import Event
from shared.contracts.program import Settings
from shared.contracts.standing import shown
from shared.runtime.deciding import Decided
from shared.runtime.owner import Change
from shared.runtime.ports import Transaction
from shared.runtime.programs import Programs

SERVICE = "customers"
PROFILES_KEPT_MAX = 50_000
"""Customers in memory, about 1 kB each."""
ANONYMOUS = Settings().anonymous_events
"""What a program that says nothing means."""


class Customers:
    """See `owner.Rules`."""

    def __init__(self, repository: CustomersRepository, programs: Programs) -> None:
        self._repository = repository
        self._programs = programs

    def states(self, keys: Collection[str]) -> dict[str, Profile]:
        """The profiles."""
        return self._repository.profiles(keys)

    def needs(self, event: Event, state: Profile) -> None:
        """A profile is all that a decision needs."""

    def load(self, needed: Sequence[tuple[Event, Any]], states: dict[str, Profile]) -> None:
        """Nothing besides the profiles."""

    def decide(self, event: Event, state: Profile, decided: Decided) -> Profile:
        """One event on the profile that those before it left."""
        decision = decide(event, state, anonymous_events=self._anonymous_events(event))
        if decision.outcome == "followed" and not decision.facts:
            return state  # another's event that changes nothing here: no decision of ours
        profile = fold(state, decision, event)
        status = {} if profile.standing is None else {"status": shown(profile.standing)}
        decided.record(event, decision, status)
        return profile

    def check(self, change: Change[Profile]) -> None:
        """Any profile that the rules make is a good one."""

    def differs(self, before: Profile, after: Profile) -> bool:
        """A fact makes a new profile."""
        return after is not before

    def store(self, transaction: Transaction, changes: Sequence[Change[Profile]]) -> None:
        """One write per changed customer."""
        self._repository.store(transaction, changes)

    def kept(self, state: Profile) -> Profile:
        """All of it."""
        return state

    def _anonymous_events(self, event: Event) -> bool:
        """Of the program's settings all that concerns us."""
        entities = self._programs.at(event.tenant, event.program).get("settings", {})
        name = "anonymous_events"
        return any(each["document"].get(name, ANONYMOUS) for each in entities.values())
