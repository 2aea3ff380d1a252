"""Balances: what an outcome shows of the accounts that its event touched."""

from typing import cast

from services.points.domain.customers import CustomerPoints
from services.points.domain.transactions import Transaction
from shared.contracts.decisions import Decision
from shared.contracts.facts import PointsFact, StandingChanged

Balances = dict[str, dict[str, int]]


def balances_after(
    decision: Decision, transaction: Transaction | None, state: CustomerPoints
) -> Balances:
    """By account, as in API.md: those of the decision's facts, and that of a checkout which earned
    nothing. `state` is the one after the decision.
    """
    facts = cast(tuple[PointsFact, ...], decision.facts)
    touched = {fact.account for fact in facts if not isinstance(fact, StandingChanged)}
    if transaction is not None:
        touched.add(transaction.account)
    return {id_: _shown(state, id_) for id_ in sorted(touched)}


def _shown(state: CustomerPoints, id_: str) -> dict[str, int]:
    account = state.account(id_)
    return {
        "score": account.score,
        "spent": account.spent,
        "pending": account.pending,
        "reserved": account.reserved,
        "expired": account.expired,
        "spendable": account.spendable,
    }
