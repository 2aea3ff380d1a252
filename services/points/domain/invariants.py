"""Invariants: what holds of every account after every decision, in tests and in production."""

from collections.abc import Iterable
from datetime import datetime

from services.points.domain.accounts import Account, within_limit
from services.points.domain.lots import Lot


def broken(account: Account, before: Account | None = None) -> str:
    """What does not hold, as a sentence; empty when all does (DESIGN section 5).

    `before`: the account when all of it held; then only what has changed since is looked at, so
    that the price of an earning does not grow with the open lots. `None`: everything is looked at.
    """
    if min(account.spent, account.pending, account.reserved, account.expired) < 0:
        return f"account {account.id}: an amount is below zero: {account}"
    if not within_limit(account.score, account.spent, account.spendable):
        return f"account {account.id}: a balance is beyond 2^53"
    return _broken_lots(account, before or Account(account.id))


def _broken_lots(account: Account, before: Account) -> str:
    lots, known = account.lots, before.lots.pages
    added: list[Lot] = []
    gone = [lot for n, page in known.items() if n not in lots.pages for lot in page]
    for n, page in lots.pages.items():
        old = known.get(n, ())
        if page is old:
            continue
        grew = page[: len(old)] == old
        added += page[len(old) :] if grew else page
        gone += () if grew else old
    for lot in added:
        if lot.left <= 0 or lot.used < 0 or not 0 <= lot.held <= lot.left:
            return f"account {account.id}: lot {lot.event}/{lot.n} is not an open lot: {lot}"
    due = lots.due() if gone or not known else _earliest(added, before)
    if account.due != due:
        return f"account {account.id}: due is {account.due}, but of its lots {due}"
    if lots.hidden is not None and before.lots.hidden is None:
        return ""  # what the hidden lots hold is not known
    more = sum(lot.free for lot in added) - sum(lot.free for lot in gone)
    expected = max(0, account.spendable) - max(0, before.spendable)
    if more != expected:
        return (
            f"account {account.id}: its lots have {more} more points free than before, its balance "
            f"says {expected}"
        )
    return ""


def _earliest(added: Iterable[Lot], before: Account) -> datetime | None:
    dates = [lot.expires_at for lot in added if lot.expires_at is not None]
    return min(dates if before.due is None else [*dates, before.due], default=None)
