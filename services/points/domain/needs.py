"""Needs: what must be loaded before an event can be decided."""

from services.points.domain.customers import CustomerPoints
from services.points.domain.program import Program
from shared.contracts.events import Checkout, Event
from shared.contracts.standing import Refused, spends


def needs_lots(event: Event, state: CustomerPoints, program: Program) -> tuple[str, ...]:
    """The accounts whose stored lots the decision must know: where it takes points, or where a
    stored lot is due. Plain earning never needs any.

    Asked before a batch, it stays right through the batch: hidden lots change only by being loaded,
    and those that the batch itself makes are known.
    """
    if event.action not in ON_ACCOUNTS:
        return ()
    rules = program.account(event.account)
    if isinstance(rules, Refused) or (account := state.accounts.get(rules.id)) is None:
        return ()
    hidden = account.lots.hidden
    if hidden is None:
        return ()
    due = program.expiring_points and hidden.is_due(event.recorded_at)
    return (rules.id,) if due or takes(event) else ()


def needs_checkout(event: Event) -> str | None:
    """The transaction id whose first checkout the decision must know."""
    return event.data.transaction_id if isinstance(event.data, Checkout) else None


ON_ACCOUNTS = frozenset({"checkout", "point_add", "point_spend", "point_sub"})


def takes(event: Event) -> bool:
    """Whether the event takes points from lots."""
    return event.action == "point_sub" or spends(event)
