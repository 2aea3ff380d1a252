"""Who may act on which account, and which refusal comes first when several apply."""

import pytest

from services.points.domain.decide import decide
from shared.contracts.events import Event, Profile
from shared.contracts.facts import AccountOpened, PointsEarned, StandingChanged
from tests.points.given import (
    account,
    add,
    checkout,
    day,
    event,
    happened,
    opt_in,
    opt_out,
    program,
    spend,
    subtract,
    suspend,
    unsuspend,
)

RULES = program(
    asleep=account("inactive"), gone=account("archived"), rated=account(burn={"rates": []})
)
GUEST = checkout("10.00", guest=True)


@pytest.mark.parametrize(
    ("given", "when", "code"),
    [
        pytest.param([], add(1), "customer_unknown", id="nobody has heard of the customer"),
        pytest.param([], spend(1), "customer_unknown", id="an unknown customer spends nothing"),
        pytest.param([GUEST], spend(1), "customer_inactive", id="a guest spends nothing"),
        pytest.param(
            [GUEST],
            checkout(points_burned=1, transaction="T-2"),
            "customer_inactive",
            id="a guest burns nothing in a checkout",
        ),
        pytest.param(
            [opt_in(), suspend()],
            checkout("10.00", points_burned=1),
            "customer_suspended",
            id="a suspended customer burns nothing in a checkout",
        ),
        pytest.param(
            [opt_in(), opt_out()], add(1), "customer_opted_out", id="who has left earns nothing"
        ),
        pytest.param(
            [opt_in(), opt_out(banned=True)],
            subtract(1),
            "customer_opted_out",
            id="a banned customer looks like one who has left",
        ),
        pytest.param([opt_in()], add(1, account="none"), "account_unknown", id="no such account"),
        pytest.param(
            [opt_in()], spend(1, account="asleep"), "account_inactive", id="an inactive account"
        ),
        pytest.param(
            [opt_in()], add(1, account="gone"), "account_inactive", id="an archived account"
        ),
        pytest.param(
            [opt_in(), suspend()],
            spend(1, account="none"),
            "customer_suspended",
            id="standing before account",
        ),
        pytest.param(
            [opt_in(), checkout("10.00")],
            checkout("11.00", account="none"),
            "account_unknown",
            id="account before transaction",
        ),
    ],
)
def test_refusals(given: list[Event], when: Event, code: str) -> None:
    assert decide(when, happened(given, RULES), RULES).code == code


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        pytest.param({"default_account": ""}, "default_account_missing", id="none is set"),
        pytest.param({"default_account": "asleep"}, "account_inactive", id="it is inactive"),
        pytest.param({"default_account": "none"}, "account_unknown", id="it does not exist"),
    ],
)
def test_an_event_without_account_needs_a_default_one(
    settings: dict[str, object], code: str
) -> None:
    rules = program(settings, asleep=account("inactive"))
    assert decide(add(1), happened([opt_in()], rules), rules).code == code


def test_an_explicit_account_needs_no_default() -> None:
    rules = program({"default_account": ""})
    assert decide(add(1, account="main"), happened([opt_in()], rules), rules).facts == (
        PointsEarned("main", 1, None),
    )


@pytest.mark.parametrize(
    ("given", "when", "facts"),
    [
        pytest.param(
            [],
            opt_in(),
            (StandingChanged("active"), AccountOpened("main"), AccountOpened("other")),
            id="an opt-in opens the active accounts that begin with it, in order",
        ),
        pytest.param(
            [GUEST],
            opt_in(),
            (StandingChanged("active"), AccountOpened("other")),
            id="a guest who joins keeps the account that earned already",
        ),
        pytest.param([opt_in()], opt_in(), (), id="a second opt-in is its owner's to refuse"),
        pytest.param([opt_in()], suspend(), (StandingChanged("suspended"),), id="suspended"),
        pytest.param([], suspend(), (), id="an unknown customer cannot be suspended"),
        pytest.param(
            [opt_in(), suspend()], unsuspend(), (StandingChanged("active"),), id="unsuspended"
        ),
        pytest.param(
            [opt_in(), suspend()],
            opt_out(),
            (StandingChanged("opted_out", forgotten=True),),
            id="leaving forgets everything",
        ),
        pytest.param(
            [opt_in()],
            opt_out(banned=True),
            (StandingChanged("banned", forgotten=True),),
            id="a ban forgets everything too",
        ),
        pytest.param(
            [opt_in(), opt_out(banned=True)], opt_in(), (), id="a banned customer stays out"
        ),
        pytest.param([opt_in()], event("resync", Profile()), (), id="not ours at all"),
    ],
)
def test_standing_is_followed(given: list[Event], when: Event, facts: tuple[object, ...]) -> None:
    rules = program(
        other=account(init_on_opt_in=True), asleep=account("inactive", init_on_opt_in=True)
    )
    decision = decide(when, happened(given, rules), rules)
    assert (decision.outcome, decision.facts) == ("followed", facts)


def test_who_joins_again_starts_from_zero() -> None:
    left = opt_out(seq=7)
    state = happened([opt_in(), add(100, expires_at=day(3)), left, opt_in()], RULES)
    assert state.standing == "active"
    assert (state.generation, state.since) == (2, (3 << 53 | 7 << 16) + 1)
    assert {id_: state.account(id_).spendable for id_ in state.accounts} == {"main": 0}


ANONYMOUS = program({"anonymous_events": True})


@pytest.mark.parametrize(
    ("when", "rules", "seen", "code"),
    [
        pytest.param(GUEST, RULES, True, "", id="a guest's checkout makes an inactive profile"),
        pytest.param(add(1), ANONYMOUS, True, "", id="so does any earning where that is allowed"),
        pytest.param(
            checkout("10.00"), RULES, False, "customer_unknown", id="but no plain checkout"
        ),
        pytest.param(
            spend(1), ANONYMOUS, False, "customer_unknown", id="and no spend, allowed or not"
        ),
        pytest.param(
            checkout("10.00", guest=True, points_burned=1),
            RULES,
            False,
            "customer_unknown",
            id="nor a guest's checkout that burns",
        ),
        pytest.param(
            checkout("10.00", guest=True, account="none"),
            RULES,
            True,
            "account_unknown",
            id="the profile is made even where the checkout is refused",
        ),
        pytest.param(suspend(), ANONYMOUS, False, "", id="a change of standing makes no profile"),
    ],
)
def test_guests(when: Event, rules: object, seen: bool, code: str) -> None:
    decision = decide(when, happened([], RULES), rules)  # type: ignore[arg-type]
    assert decision.code == code
    assert (StandingChanged("inactive") in decision.facts) is seen


def test_a_guest_who_is_known_is_a_customer_like_any_other() -> None:
    state = happened([opt_in()], RULES)
    assert decide(GUEST, state, RULES).facts == (PointsEarned("main", 1, None),)
