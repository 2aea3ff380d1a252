"""Facts: what a decision made true. Each says all that `evolve` needs."""

from datetime import datetime

from msgspec import Struct


class LotUse(Struct, frozen=True, gc=False):
    """Points taken from one lot: `event` earned it, `n` is its place among that event's lots."""

    event: str
    n: int
    points: int


class PointsEarned(Struct, frozen=True, gc=False, tag="points_earned", omit_defaults=True):
    """A new lot. `debt_paid` of its points went to a negative balance at once (PTS-14)."""

    account: str
    points: int
    expires_at: datetime | None
    debt_paid: int = 0
    n: int = 0


class PointsSpent(Struct, frozen=True, gc=False, tag="points_spent", omit_defaults=True):
    """Spent: spendable falls, spent grows (PTS-10). `owed` is what no lot covered."""

    account: str
    points: int
    lots: tuple[LotUse, ...]
    owed: int = 0


class PointsSubtracted(Struct, frozen=True, gc=False, tag="points_subtracted", omit_defaults=True):
    """Taken back: score and spendable fall (PTS-09). `owed` is what no lot covered."""

    account: str
    points: int
    lots: tuple[LotUse, ...]
    owed: int = 0


class PointsExpired(Struct, frozen=True, gc=False, tag="points_expired"):
    """What was left of lots whose date had passed (EXP-03)."""

    account: str
    points: int
    lots: tuple[LotUse, ...]


class AccountOpened(Struct, frozen=True, gc=False, tag="account_opened"):
    """The customer has this account from now on (ACC-11)."""

    account: str


class StandingChanged(Struct, frozen=True, gc=False, tag="standing_changed"):
    """The customer's standing, a word of `standing.Standing`; `forgotten` ends a generation: all
    balances and lots are gone (CUS-17)."""

    standing: str
    forgotten: bool = False


PointsFact = (
    PointsEarned | PointsSpent | PointsSubtracted | PointsExpired | AccountOpened | StandingChanged
)


class CustomerOptedIn(Struct, frozen=True, gc=False, tag="customer_opted_in"):
    """A member with consent (CUS-08); `generation` counts how often this id has joined. `labels`
    come with the opt-in (CUS-31)."""

    generation: int
    labels: tuple[str, ...] = ()


class CustomerOptedOut(Struct, frozen=True, gc=False, tag="customer_opted_out"):
    """Left for good (CUS-09); a later opt-in starts from zero."""

    banned: bool
    reason: str | None = None


class CustomerSuspended(Struct, frozen=True, gc=False, tag="customer_suspended"):
    """By an administrator, for fraud (CUS-10): may earn, may not spend."""

    reason: str | None = None


class CustomerUnsuspended(Struct, frozen=True, gc=False, tag="customer_unsuspended"):
    """Active again (CUS-11)."""

    reason: str | None = None


class CustomerSeen(Struct, frozen=True, gc=False, tag="customer_seen"):
    """A guest or not yet enrolled customer got an inactive profile (CUS-07, EVT-04)."""


CustomersFact = (
    CustomerOptedIn | CustomerOptedOut | CustomerSuspended | CustomerUnsuspended | CustomerSeen
)
