"""Invariants: what holds of every account after every decision, in tests and in production."""

from services.points.domain.accounts import Account, within_limit


def broken(account: Account) -> str:
    """What does not hold, as a sentence; empty when all does (DESIGN section 5)."""
    for what, amount in (
        ("spent", account.spent),
        ("pending", account.pending),
        ("reserved", account.reserved),
        ("expired", account.expired),
    ):
        if amount < 0:
            return f"account {account.id}: {what} is {amount}, below zero"
    if not within_limit(account.score, account.spent, account.spendable):
        return f"account {account.id}: a balance is beyond 2^53"
    return _broken_lots(account)


def _broken_lots(account: Account) -> str:
    known = list(account.lots.known())
    for lot in known:
        if lot.used < 0 or lot.held < 0 or lot.free < 0 or lot.left == 0:
            return f"account {account.id}: lot {lot.event}/{lot.n} is not an open lot: {lot}"
    if account.due != account.lots.due():
        return f"account {account.id}: due is {account.due}, but of its lots {account.lots.due()}"
    if account.lots.hidden is not None:
        return ""
    free, expected = sum(lot.free for lot in known), max(0, account.spendable)
    if free != expected:
        return (
            f"account {account.id}: its lots have {free} points free, its balance says {expected}"
        )
    return ""
