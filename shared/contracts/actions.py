"""Which service decides which action, and which actions are built."""

from typing import NamedTuple

from shared.contracts import events
from shared.contracts.events import Data


class Owned(NamedTuple):
    """An action that is built: its owner and the shape of its data."""

    owner: str
    data: type[Data]


BUILT: dict[str, Owned] = {
    "opt_in": Owned("customers", events.Profile),
    "opt_out": Owned("customers", events.OptOut),
    "suspend": Owned("customers", events.Reason),
    "unsuspend": Owned("customers", events.Reason),
    "point_add": Owned("points", events.PointAdd),
    "point_sub": Owned("points", events.PointTake),
    "point_spend": Owned("points", events.PointTake),
    "checkout": Owned("points", events.Checkout),
}

CONTROL: dict[str, type[Data]] = {"unpark": events.Unpark}
"""What an operator's command puts on the inbox; the gateway knows none of it, and no control event
has a decision of its own."""

DATA: dict[str, type[Data]] = {action: owned.data for action, owned in BUILT.items()} | CONTROL
"""The shape of the data of every action that may be on the log."""

PLANNED: frozenset[str] = frozenset(
    [
        "profile",
        "login",
        "merge",
        "list_add",
        "list_remove",
        "label_add",
        "label_remove",
        "checkout_update",
        "checkout_accept",
        "checkout_reject",
        "checkout_item",
        "checkout_claim",
        "refund",
        "refund_item",
        "partial_refund",
        "reserve",
        "release",
        "point_unspend",
        "reward",
        "reward_revoke",
        "reward_unbid",
        "wheel_spin",
        "promotion_enter",
        "contest_enter",
        "quiz_enter",
        "campaign_bonus",
        "campaign_bonus_revoke",
        "referral_bonus",
        "pending_validate",
        "pending_invalidate",
        "expiration_change",
        "tier_up",
        "tier_down",
        "tier_set",
        "tier_expiration_change",
        "coupon_assign",
        "coupon_redeem",
        "coupon_unredeem",
        "coupon_invalidate",
        "coupon_unassign",
        "coupon_transfer",
        "coupon_expiration_change",
        "resync",
    ]
)
"""Known actions whose owner is not built yet: refused at the door (`action_unavailable`), since
nothing accepted may stay undecided."""


def owned_by(service: str) -> frozenset[str]:
    """The built actions that `service` decides."""
    return frozenset(action for action, owned in BUILT.items() if owned.owner == service)
