"""Spending and correcting: points taken from the lots that expire first."""

from typing import cast

from services.points.domain import lots
from services.points.domain.access import Opened, open_account
from services.points.domain.accounts import Account, within_limit
from services.points.domain.customers import CustomerPoints
from services.points.domain.program import Program
from shared.contracts.decisions import Decision, accepted, refused
from shared.contracts.events import Event, PointTake
from shared.contracts.facts import LotUse, PointsSpent, PointsSubtracted


def decide_spend(event: Event, state: CustomerPoints, program: Program) -> Decision:
    """`point_spend`: spendable falls, spent grows (PTS-10).

    Refused: standing and account (`access.py`), `insufficient_points`, `balance_limit`.
    """
    opened = open_account(event, state, program)
    if isinstance(opened, Decision):
        return opened
    spent = spend(opened, points_of(event))
    return spent if isinstance(spent, Decision) else accepted(*opened.facts, spent)


def decide_subtract(event: Event, state: CustomerPoints, program: Program) -> Decision:
    """`point_sub`: score and spendable fall (PTS-09); a correction, so whoever may earn may be
    corrected (Part 5).

    Refused: standing and account (`access.py`), `insufficient_points`, `balance_limit`.
    """
    opened = open_account(event, state, program)
    if isinstance(opened, Decision):
        return opened
    account, points = opened.account, points_of(event)
    if refusal := may_not_take(opened, points, score=account.score - points, spent=account.spent):
        return refusal
    uses, owed = cover(account, points)
    return accepted(*opened.facts, PointsSubtracted(account.id, points, uses, owed))


def spend(opened: Opened, points: int) -> PointsSpent | Decision:
    """The fact of spending `points`, or why not; a checkout burns by it too."""
    account = opened.account
    if refusal := may_not_take(opened, points, score=account.score, spent=account.spent + points):
        return refusal
    return PointsSpent(account.id, points, *cover(account, points))


def may_not_take(opened: Opened, points: int, *, score: int, spent: int) -> Decision | None:
    """Refuses more than is spendable unless the account may go below zero (PTS-14, rule 10), and
    what no balance can hold; `score` and `spent` as they would be.
    """
    left = opened.account.spendable - points
    if left < 0 and not opened.rules.negative_points:
        return refused("insufficient_points", account=opened.account.id, missing=-left)
    if not within_limit(score, spent, left):
        return refused("balance_limit", account=opened.account.id)
    return None


def cover(account: Account, points: int) -> tuple[tuple[LotUse, ...], int]:
    """The lots that give `points`, and what none of them covers."""
    uses = lots.first_to_expire(account.lots, points)
    return uses, points - sum(use.points for use in uses)


def points_of(event: Event) -> int:
    """The points that the event takes."""
    return cast(PointTake, event.data).points
