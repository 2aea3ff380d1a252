"""The rules of points as the owner of a batch calls them: states and lots in, decisions out."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple

from services.points.documents import AccountOf, first_checkout, transaction_document
from services.points.domain.accounts import Account
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
from shared.runtime.deciding import Decided
from shared.runtime.owner import Change
from shared.runtime.ports import BrokenInvariant, Transaction
from shared.runtime.programs import Programs

SERVICE = "points"
STATES_KEPT_MAX = 20_000
"""Customers in memory; about 2 kB each, and 300 bytes more per kept lot."""
LOTS_KEPT_MAX = 32
"""Open lots of one account that are kept in memory; an account with more is read when needed."""
PROGRAMS_KEPT_MAX = 256


class Needs(NamedTuple):
    """What must be loaded for an event: lots of these accounts, the first checkout of this id."""

    lots: tuple[str, ...]
    checkout: str | None


class Points:
    """See `owner.Rules`."""

    def __init__(self, repository: PointsRepository, programs: Programs) -> None:
        self._repository = repository
        self._program = lru_cache(PROGRAMS_KEPT_MAX)(
            lambda tenant, version: program_of(programs.at(tenant, version))
        )

    def states(self, keys: Collection[str]) -> dict[str, CustomerPoints]:
        """Balances, and the lots of their last pages. Raises `BrokenInvariant` for a stored state
        in which they do not agree: nothing may be decided on it."""
        states = self._repository.states(keys)
        for key, state in states.items():
            for account in state.accounts.values():
                if wrong := broken(account):
                    raise BrokenInvariant(
                        f"{key}, as it is stored: {wrong}. `laurel verify` finds all that is "
                        "wrong, `laurel rebuild points` makes it anew"
                    )
        return states

    def needs(self, event: Event, state: CustomerPoints) -> Needs | None:
        """Most events need no lots, and a stranger has no checkouts."""
        lots = needs_lots(event, state, self._program_of(event))
        checkout = None if state.standing is None else needs_checkout(event)
        return Needs(lots, checkout) if lots or checkout else None

    def load(
        self, needed: Sequence[tuple[Event, Needs]], states: dict[str, CustomerPoints]
    ) -> None:
        """At most two finds: lot pages, first checkouts."""
        self._load_lots(needed, states)
        self._load_checkouts(needed, states)

    def decide(self, event: Event, state: CustomerPoints, decided: Decided) -> CustomerPoints:
        """One event on the state that those before it left."""
        program = self._program_of(event)
        decision = decide(event, state, program)
        if decision.outcome == "followed" and not decision.facts:
            return state  # another's event that changes nothing here: no decision of ours
        state = fold(state, decision, event)
        transaction = transaction_of(event, decision, program)
        result = {"balances": balances_after(decision, transaction, state)}
        kept = transaction_document(transaction)
        document = decided.record(event, decision, result, kept)
        if transaction is not None:
            state = state.with_checkouts({transaction.id: first_checkout(document)})
        return state

    def check(self, change: Change[CustomerPoints]) -> None:
        """The invariants of every account that changed (DESIGN section 5)."""
        before, after = change.before, change.after
        known = before.accounts if before.generation == after.generation else {}
        for id_, account in after.accounts.items():
            was = known.get(id_)
            if account is not was and (wrong := broken(account, was)):
                raise BrokenInvariant(f"{change.of.key}: {wrong}")

    def differs(self, before: CustomerPoints, after: CustomerPoints) -> bool:
        """A checkout that moved no points changes nothing."""
        return after.differs_from(before)

    def store(self, transaction: Transaction, changes: Sequence[Change[CustomerPoints]]) -> None:
        """One write per changed customer and per changed page."""
        self._repository.store(transaction, changes)

    def kept(self, state: CustomerPoints) -> CustomerPoints:
        """Without the lots of accounts that have many."""
        return state.stored(lots_kept_max=LOTS_KEPT_MAX)

    def _program_of(self, event: Event) -> Program:
        return self._program(event.tenant, event.program)

    def _load_lots(
        self, needed: Sequence[tuple[Event, Needs]], states: dict[str, CustomerPoints]
    ) -> None:
        wanted: dict[AccountOf, Account] = {
            AccountOf(event.key, state.generation, id_): state.accounts[id_]
            for event, needs in needed
            for state in [states[event.key]]
            for id_ in needs.lots
        }
        for of, pages in self._repository.lots(wanted).items():
            states[of.key] = states[of.key].with_lots(of.account, pages)

    def _load_checkouts(
        self, needed: Sequence[tuple[Event, Needs]], states: dict[str, CustomerPoints]
    ) -> None:
        wanted = {
            (event.tenant, event.customer, needs.checkout)
            for event, needs in needed
            if needs.checkout
        }
        for (key, id_), decision, first in self._repository.first_checkouts(wanted):
            if decision >= states[key].since:
                states[key] = states[key].with_checkouts({id_: first})
