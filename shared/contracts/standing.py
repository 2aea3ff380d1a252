"""Standing: the one rule that two services share, as tables (customers decides it, points follows).

Sources: CUS-07..CUS-11 and Part 5 of the requirements ("`opt_in` of a suspended, banned or active
customer"). `None` stands for a customer nobody has heard of.
"""

from typing import Literal, NamedTuple

from shared.contracts.events import Checkout, Event

Standing = Literal["inactive", "active", "suspended", "opted_out", "banned", "merged"]
"""`banned` is opted out by force; outside it is shown as `opted_out`."""


class Refused(NamedTuple):
    """The code with which a transition or an act is refused."""

    code: str


TRANSITIONS: dict[str, dict[Standing | None, Standing | Refused]] = {
    "opt_in": {
        None: "active",
        "inactive": "active",
        "active": Refused("already_opted_in"),
        "suspended": Refused("customer_suspended"),
        "opted_out": "active",
        "banned": Refused("customer_banned"),
        "merged": Refused("status_transition"),
    },
    "opt_out": {
        None: Refused("customer_unknown"),
        "inactive": "opted_out",
        "active": "opted_out",
        "suspended": "opted_out",
        "opted_out": Refused("status_transition"),
        "banned": Refused("customer_opted_out"),
        "merged": Refused("status_transition"),
    },
    "suspend": {
        None: Refused("customer_unknown"),
        "inactive": Refused("status_transition"),
        "active": "suspended",
        "suspended": Refused("status_transition"),
        "opted_out": Refused("status_transition"),
        "banned": Refused("customer_opted_out"),
        "merged": Refused("status_transition"),
    },
    "unsuspend": {
        None: Refused("customer_unknown"),
        "inactive": Refused("status_transition"),
        "active": Refused("status_transition"),
        "suspended": "active",
        "opted_out": Refused("status_transition"),
        "banned": Refused("customer_opted_out"),
        "merged": Refused("status_transition"),
    },
}

MAY_EARN: dict[Standing | None, Refused | None] = {
    None: Refused("customer_unknown"),
    "inactive": None,
    "active": None,
    "suspended": None,
    "opted_out": Refused("customer_opted_out"),
    "banned": Refused("customer_opted_out"),
    "merged": Refused("customer_unknown"),
}
"""Earning and corrections: also before enrolment and while suspended (PTS-13)."""

MAY_SPEND: dict[Standing | None, Refused | None] = MAY_EARN | {
    "inactive": Refused("customer_inactive"),
    "suspended": Refused("customer_suspended"),
}


def transition(
    standing: Standing | None, action: str, *, banned: bool = False
) -> Standing | Refused:
    """The standing after `action`, or why it is refused. `banned` matters to `opt_out` alone."""
    after = TRANSITIONS[action][standing]
    return "banned" if after == "opted_out" and banned else after


def spends(event: Event) -> bool:
    """Whether the event needs `MAY_SPEND`: it takes points for something."""
    burns = isinstance(event.data, Checkout) and bool(event.data.points_burned)
    return burns or event.action == "point_spend"


def makes_profile(standing: Standing | None, event: Event, *, anonymous_events: bool) -> bool:
    """Whether an unknown customer becomes an inactive one by this event: a guest's checkout, or any
    event that an inactive customer may send where the program allows anonymous ones (Part 5,
    EVT-04).

    It depends on nothing but the log and the program, so that every service sees the same standing.
    """
    if standing is not None or event.action in TRANSITIONS:
        return False
    guest = isinstance(event.data, Checkout) and event.data.guest
    return (guest or anonymous_events) and not spends(event)


def shown(standing: Standing) -> str:
    """The word that clients see (API.md)."""
    return "opted_out" if standing == "banned" else standing
