"""Who may join, leave, be suspended: the whole table of standings, and the facts that it makes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.customers.domain.decide import decide
from services.customers.domain.evolve import fold
from services.customers.domain.profiles import UNKNOWN, Profile
from shared.contracts.decisions import Decision, accepted, followed, number, refused
from shared.contracts.events import Checkout, Data, Event, OptOut, PointAdd, PointTake, Reason
from shared.contracts.events import Profile as Attributes
from shared.contracts.facts import (
    CustomerOptedIn,
    CustomerOptedOut,
    CustomerSeen,
    CustomerSuspended,
    CustomerUnsuspended,
)
from shared.contracts.standing import shown

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(action: str, data: Data, **stamps: Any) -> Event:
    stamped: dict[str, Any] = {
        "id": "e-1",
        "tenant": "demo",
        "customer": "c-1",
        "account": "",
        "time": NOON,
        "recorded_at": NOON,
        "program": 1,
        "partition": 3,
        "seq": 100,
    }
    return Event(action=action, data=data, **(stamped | stamps))


OPT_IN = event("opt_in", Attributes())
OPT_OUT = event("opt_out", OptOut())
BAN = event("opt_out", OptOut("fraud", banned=True))
SUSPEND = event("suspend", Reason("fraud"))
UNSUSPEND = event("unsuspend", Reason())
GUEST = event("checkout", Checkout("T-1", guest=True))
CHECKOUT = event("checkout", Checkout("T-1"))


def happened(*past: Event) -> Profile:
    """The profile that these events lead to."""
    profile = UNKNOWN
    for each in past:
        decision = decide(each, profile, anonymous_events=False)
        assert decision.outcome != "refused", f"{each.action}: {decision.code}"
        profile = fold(profile, decision, each)
    return profile


@pytest.mark.parametrize(
    ("given", "when", "then"),
    [
        pytest.param([], OPT_IN, accepted(CustomerOptedIn(1)), id="anybody may join"),
        pytest.param([GUEST], OPT_IN, accepted(CustomerOptedIn(1)), id="a guest may join"),
        pytest.param([OPT_IN], OPT_IN, refused("already_opted_in"), id="but only once"),
        pytest.param(
            [OPT_IN, SUSPEND], OPT_IN, refused("customer_suspended"), id="not while suspended"
        ),
        pytest.param(
            [OPT_IN, OPT_OUT], OPT_IN, accepted(CustomerOptedIn(2)), id="who left may join again"
        ),
        pytest.param([OPT_IN, BAN], OPT_IN, refused("customer_banned"), id="who is banned may not"),
        pytest.param([], OPT_OUT, refused("customer_unknown"), id="an unknown one cannot leave"),
        pytest.param([GUEST], OPT_OUT, accepted(CustomerOptedOut(banned=False)), id="a guest can"),
        pytest.param(
            [OPT_IN], OPT_OUT, accepted(CustomerOptedOut(banned=False)), id="a member can"
        ),
        pytest.param(
            [OPT_IN, SUSPEND],
            OPT_OUT,
            accepted(CustomerOptedOut(banned=False)),
            id="a suspended one can",
        ),
        pytest.param(
            [OPT_IN, OPT_OUT], OPT_OUT, refused("status_transition"), id="nobody leaves twice"
        ),
        pytest.param(
            [OPT_IN, BAN], OPT_OUT, refused("customer_opted_out"), id="a banned one has left"
        ),
        pytest.param(
            [OPT_IN],
            BAN,
            accepted(CustomerOptedOut(banned=True, reason="fraud")),
            id="leaving may be forced",
        ),
        pytest.param(
            [], SUSPEND, refused("customer_unknown"), id="an unknown one is not suspended"
        ),
        pytest.param([GUEST], SUSPEND, refused("status_transition"), id="nor a guest"),
        pytest.param(
            [OPT_IN], SUSPEND, accepted(CustomerSuspended("fraud")), id="only a member is"
        ),
        pytest.param(
            [OPT_IN, SUSPEND], SUSPEND, refused("status_transition"), id="and that only once"
        ),
        pytest.param(
            [OPT_IN, OPT_OUT], SUSPEND, refused("status_transition"), id="nor who has left"
        ),
        pytest.param([OPT_IN, BAN], SUSPEND, refused("customer_opted_out"), id="nor who is banned"),
        pytest.param(
            [OPT_IN, SUSPEND], UNSUSPEND, accepted(CustomerUnsuspended()), id="and comes back"
        ),
        pytest.param(
            [OPT_IN], UNSUSPEND, refused("status_transition"), id="only the suspended come back"
        ),
        pytest.param([], UNSUSPEND, refused("customer_unknown"), id="an unknown one does not"),
        pytest.param([GUEST], UNSUSPEND, refused("status_transition"), id="a guest does not"),
        pytest.param(
            [OPT_IN, OPT_OUT], UNSUSPEND, refused("status_transition"), id="who left does not"
        ),
        pytest.param(
            [OPT_IN, BAN], UNSUSPEND, refused("customer_opted_out"), id="a banned one does not"
        ),
    ],
)
def test_changes_of_standing(given: list[Event], when: Event, then: Decision) -> None:
    assert decide(when, happened(*given), anonymous_events=False) == then


@pytest.mark.parametrize(
    ("when", "anonymous", "then"),
    [
        pytest.param(GUEST, False, followed(CustomerSeen()), id="a guest's checkout"),
        pytest.param(CHECKOUT, False, followed(), id="no other checkout"),
        pytest.param(CHECKOUT, True, followed(CustomerSeen()), id="any where that is allowed"),
        pytest.param(
            event("point_add", PointAdd(1)), True, followed(CustomerSeen()), id="or any earning"
        ),
        pytest.param(event("point_spend", PointTake(1)), True, followed(), id="but no spend"),
        pytest.param(
            event("checkout", Checkout("T-1", points_burned=1, guest=True)),
            False,
            followed(),
            id="nor a burn",
        ),
    ],
)
def test_what_makes_an_inactive_profile(when: Event, anonymous: bool, then: Decision) -> None:
    assert decide(when, UNKNOWN, anonymous_events=anonymous) == then


def test_a_known_customer_is_not_seen_again() -> None:
    assert decide(GUEST, happened(OPT_IN), anonymous_events=True) == followed()


def test_a_member_has_a_date_and_the_labels_that_came_along() -> None:
    joined = event(
        "opt_in", Attributes(labels=["vip", "till", "vip"]), time=NOON - timedelta(days=1)
    )
    assert happened(joined) == Profile(
        "active", opted_in_at=NOON - timedelta(days=1), labels=("vip", "till")
    )


def test_leaving_forgets_everything_but_the_standing() -> None:
    profile = happened(event("opt_in", Attributes(labels=["vip"])), BAN)
    assert profile == Profile("banned", 2, number(3, 100, 1), reason="fraud")
    assert profile.standing is not None
    assert shown(profile.standing) == "opted_out"


def test_a_reason_belongs_to_the_standing_that_it_explains() -> None:
    assert happened(OPT_IN, SUSPEND).reason == "fraud"
    assert happened(OPT_IN, SUSPEND, UNSUSPEND).reason is None
