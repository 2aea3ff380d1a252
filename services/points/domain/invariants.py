"""Invariants: what holds of every account after every decision, in tests and in production."""

from services.points.domain.accounts import Account, within_limit


def broken(account: Account) -> str:
    """What does not hold, as a sentence; empty when all does (DESIGN section 5)."""
    if min(account.spent, account.pending, account.reserved, account.expired) < 0:
        return f"account {account.id}: an amount is below zero: {account}"
    if not within_limit(account.score, account.spent, account.spendable):
        return f"account {account.id}: a balance is beyond 2^53"
    return _broken_lots(account)


def _broken_lots(account: Account) -> str:
    """In one pass: it runs for every account that a batch changes."""
    free, lots = 0, account.lots
    due = None if lots.hidden is None else lots.hidden.due
    for lot in lots.known():
        left = lot.points - lot.used
        if left <= 0 or lot.used < 0 or not 0 <= lot.held <= left:
            return f"account {account.id}: lot {lot.event}/{lot.n} is not an open lot: {lot}"
        free += left - lot.held
        expires_at = lot.expires_at
        if expires_at is not None and (due is None or expires_at < due):
            due = expires_at
    if account.due != due:
        return f"account {account.id}: due is {account.due}, but of its lots {due}"
    if lots.hidden is None and free != (expected := max(0, account.spendable)):
        return (
            f"account {account.id}: its lots have {free} points free, its balance says {expected}"
        )
    return ""
