"""Checkouts: burn first, then earn, in one decision; the same transaction id counts once."""

from typing import cast

from services.points.domain.access import Opened, open_account
from services.points.domain.adding import earn
from services.points.domain.customers import CustomerPoints
from services.points.domain.earning import lines_total, points_earned, total_of
from services.points.domain.program import AccountRules, Program
from services.points.domain.spending import spend
from services.points.domain.transactions import Transaction
from shared.contracts.decisions import Decision, accepted, refused
from shared.contracts.events import Checkout, Event
from shared.contracts.facts import PointsEarned, PointsFact, PointsSpent
from shared.contracts.money import MINOR_MAX

COUNTED = (PointsEarned, PointsSpent)
"""A checkout states each at most once."""


def decide_checkout(event: Event, state: CustomerPoints, program: Program) -> Decision:
    """Accepted at once: there is no pending mechanism yet (rule 12).

    The same checkout under another event id is accepted, changes nothing, and answers what the
    first one did. Refused: standing and account (`access.py`), `transaction_exists`, `burn_rate`,
    `insufficient_points`, `balance_limit`.
    """
    data = cast(Checkout, event.data)
    first = state.checkouts.get(data.transaction_id)
    if first is not None and first.digest == event.digest:
        return Decision("accepted", answer={**first.outcome, "duplicate": True})
    opened = open_account(event, state, program)
    if isinstance(opened, Decision):
        return opened
    if first is not None:
        return refused("transaction_exists", transaction_id=data.transaction_id)
    return _burn_and_earn(opened, data, data.currency or program.currency)


def transaction_of(event: Event, decision: Decision, program: Program) -> Transaction | None:
    """What is kept of a checkout that was accepted now: not of a refused or repeated one."""
    data = event.data
    if not isinstance(data, Checkout) or decision.outcome != "accepted" or decision.answer:
        return None
    rules = cast(AccountRules, program.account(event.account))
    currency = data.currency or program.currency
    points = {type(fact): fact.points for fact in decision.facts if isinstance(fact, COUNTED)}
    return Transaction(
        data.transaction_id,
        rules.id,
        total_of(data, currency, discounted=True),
        currency,
        points.get(PointsEarned, 0),
        points.get(PointsSpent, 0),
        event.digest,
    )


def _burn_and_earn(opened: Opened, data: Checkout, currency: str) -> Decision:
    if data.total is None and lines_total(data.items, currency, discounted=True) > MINOR_MAX:
        return refused("balance_limit", account=opened.account.id)
    facts: list[PointsFact] = [*opened.facts]
    burned = data.points_burned or 0
    if burned:
        if not _converts(opened, burned, currency):
            return refused("burn_rate", account=opened.account.id, currency=currency)
        spent = spend(opened, burned)
        if isinstance(spent, Decision):
            return spent
        facts.append(spent)
    if points := points_earned(opened.rules.earn, data, currency):
        earned = earn(opened, points, None, opened.account.spendable - burned)
        if isinstance(earned, Decision):
            return earned
        facts.append(earned)
    return accepted(*facts)


def _converts(opened: Opened, points: int, currency: str) -> bool:
    """Only whole multiples of a rate of this currency convert, where the account has rates at all
    (Part 5).
    """
    burn = opened.rules.burn
    return not burn or any(points % step == 0 for step in burn.get(currency, ()))
