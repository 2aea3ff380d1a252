"""Evolve: the state after a fact. It takes over what the fact says and decides nothing."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from msgspec.structs import replace

from services.points.domain import lots
from services.points.domain.accounts import Account
from services.points.domain.customers import CustomerPoints
from services.points.domain.lots import Lot
from shared.contracts.decisions import Decision
from shared.contracts.events import Event
from shared.contracts.facts import (
    AccountOpened,
    PointsEarned,
    PointsExpired,
    PointsFact,
    PointsSpent,
    PointsSubtracted,
    StandingChanged,
)
from shared.contracts.standing import Standing


def fold(state: CustomerPoints, decision: Decision, event: Event) -> CustomerPoints:
    """The state after all facts of a decision, in order."""
    for fact in cast(tuple[PointsFact, ...], decision.facts):
        state = evolve(state, fact, event)
    return state


def evolve(state: CustomerPoints, fact: PointsFact, event: Event) -> CustomerPoints:
    """The state after `fact`, which the decision on `event` stated."""
    if isinstance(fact, StandingChanged):
        return _standing_changed(state, fact, event)
    account = ON_ACCOUNT[type(fact)](state.account(fact.account), fact, event)
    accounts = {**state.accounts, account.id: account}
    return CustomerPoints(
        state.standing, state.generation, state.since, accounts, state.checkouts, state.gone
    )


def earned(account: Account, fact: PointsEarned, event: Event) -> Account:
    """A new lot, earned when the event happened; what it pays of a debt is used from the start."""
    lot = Lot(event.id, fact.n, fact.points, fact.debt_paid, 0, event.time, fact.expires_at)
    due = account.due
    if lot.left and lot.expires_at is not None and (due is None or lot.expires_at < due):
        due = lot.expires_at
    return Account(
        account.id,
        account.score + fact.points,
        account.spent,
        account.pending,
        account.reserved,
        account.expired,
        account.made + 1,
        due,
        lots.add(account.lots, account.made, lot),
    )


def spent(account: Account, fact: PointsSpent, _event: Event) -> Account:
    """Spent grows; the lots that the fact lists shrink."""
    return _less(account, lots.used(account.lots, fact.lots), spent=fact.points)


def subtracted(account: Account, fact: PointsSubtracted, _event: Event) -> Account:
    """Score falls; the lots that the fact lists shrink."""
    return _less(account, lots.used(account.lots, fact.lots), score=-fact.points)


def expired(account: Account, fact: PointsExpired, _event: Event | None = None) -> Account:
    """Expired grows; the lots that the fact lists are gone."""
    return _less(account, lots.expired(account.lots, fact.lots), expired=fact.points)


def _opened(account: Account, _fact: AccountOpened, _event: Event) -> Account:
    return account


ON_ACCOUNT: Mapping[type[PointsFact], Callable[[Account, Any, Event], Account]] = {
    PointsEarned: earned,
    PointsSpent: spent,
    PointsSubtracted: subtracted,
    PointsExpired: expired,
    AccountOpened: _opened,
}


def _less(
    account: Account, left: lots.Lots, *, score: int = 0, spent: int = 0, expired: int = 0
) -> Account:
    return Account(
        account.id,
        account.score + score,
        account.spent + spent,
        account.pending,
        account.reserved,
        account.expired + expired,
        account.made,
        None if account.due is None else left.due(),
        left,
    )


def _standing_changed(state: CustomerPoints, fact: StandingChanged, event: Event) -> CustomerPoints:
    standing = cast(Standing, fact.standing)
    if not fact.forgotten:
        return replace(state, standing=standing)
    return CustomerPoints(
        standing,
        state.generation + 1,
        since=event.number + 1,
        gone=tuple(state.closed()),
    )
