"""Access: may this customer act, on which account, and what is due there first."""

from msgspec import Struct

from services.points.domain.accounts import Account
from services.points.domain.customers import CustomerPoints
from services.points.domain.expiring import expire_due
from services.points.domain.program import AccountRules, Program
from shared.contracts.decisions import Decision, refused
from shared.contracts.events import Event
from shared.contracts.facts import PointsExpired
from shared.contracts.standing import MAY_EARN, MAY_SPEND, Refused, spends


class Opened(Struct, frozen=True, gc=False):
    """An account as a rule may use it: its due lots have expired, which are the first facts."""

    rules: AccountRules
    account: Account
    facts: tuple[PointsExpired, ...]


def open_account(event: Event, state: CustomerPoints, program: Program) -> Opened | Decision:
    """The account that the event means, or the first refusal in the order of Part 5: standing
    (`customer_unknown`, `customer_inactive`, `customer_suspended`, `customer_opted_out`), then
    account (`default_account_missing`, `account_unknown`, `account_inactive`).
    """
    barred = (MAY_SPEND if spends(event) else MAY_EARN)[state.standing]
    if barred is not None:
        return refused(barred.code)
    rules = program.account(event.account)
    if isinstance(rules, Refused):
        return refused(rules.code)
    if not rules.active:
        return refused("account_inactive", account=rules.id)
    account = state.account(rules.id)
    if not program.expiring_points:
        return Opened(rules, account, ())
    return Opened(rules, *expire_due(account, event.recorded_at))
