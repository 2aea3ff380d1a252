"""Checkouts: what they earn and burn, and what the same transaction id means twice."""

from typing import Any

import pytest

from services.points.domain.balances import balances_after
from services.points.domain.checkouts import transaction_of
from services.points.domain.decide import decide
from services.points.domain.evolve import fold
from services.points.domain.transactions import FirstCheckout
from shared.contracts.decisions import Decision, accepted, refused
from shared.contracts.events import INTEGER_END, Event
from shared.contracts.facts import LotUse, PointsEarned, PointsExpired, PointsSpent
from tests.points.given import (
    account,
    add,
    checkout,
    day,
    happened,
    item,
    opt_in,
    opt_out,
    program,
    spend,
    suspend,
)


def points_of(when: Event, **earn: Any) -> int:
    """What a checkout earns under this rule."""
    rules = program(main=account(earn=earn or None))
    facts = decide(when, happened([opt_in()], rules), rules).facts
    return sum(fact.points for fact in facts if isinstance(fact, PointsEarned))


@pytest.mark.parametrize(
    ("when", "earn", "points"),
    [
        pytest.param(checkout("120.00"), {"percent": 10}, 12, id="ten percent of whole euros"),
        pytest.param(checkout("120.00"), {"percent": "2.25"}, 3, id="a rate of two digits, 2.7"),
        pytest.param(checkout("25.00"), {"percent": 10}, 3, id="2.5 rounds away from zero"),
        pytest.param(checkout("24.99"), {"percent": 10}, 2, id="2.499 rounds down"),
        pytest.param(checkout("20.01"), {"percent": 10, "rounding": "ceil"}, 3, id="2.001 up"),
        pytest.param(checkout("20.00"), {"percent": 10, "rounding": "ceil"}, 2, id="2 stays 2"),
        pytest.param(checkout("29.99"), {"percent": 10, "rounding": "floor"}, 2, id="2.999 down"),
        pytest.param(
            checkout("120", currency="JPY"), {"percent": 10}, 12, id="a currency without digits"
        ),
        pytest.param(
            checkout("120.500", currency="KWD"), {"percent": 10}, 12, id="one with three digits"
        ),
        pytest.param(
            checkout("100.00", currency="USD"),
            {"percent": 10, "per_currency": {"USD": 8}},
            8,
            id="a currency's own rate",
        ),
        pytest.param(
            checkout("100.00"),
            {"percent": 10, "per_currency": {"USD": 8}},
            10,
            id="the general rate for other currencies",
        ),
        pytest.param(
            checkout("100.00"),
            {"per_currency": {"USD": 8}},
            0,
            id="nothing where only other currencies earn",
        ),
        pytest.param(checkout("100.00"), {}, 0, id="nothing without an earn rule"),
        pytest.param(checkout("0.00"), {"percent": 10}, 0, id="nothing for nothing"),
        pytest.param(
            checkout("100.00", points_rewarded=7), {"percent": 10}, 7, id="stated points win"
        ),
        pytest.param(
            checkout("100.00", points_rewarded=0),
            {"percent": 10},
            0,
            id="also when that is none",
        ),
        pytest.param(checkout("100.00", points_rewarded=7), {}, 7, id="also without a rule"),
        pytest.param(
            checkout(None, item("30.00", 2), item("40.00", discount="5.00")),
            {"percent": 10},
            10,
            id="without a total the lines add up: 9.5",
        ),
        pytest.param(
            checkout(None, item("30.00", 2), item("40.00", discount="5.00")),
            {"percent": 10, "discounted_price": False},
            10,
            id="without a total and discounts: 10.0",
        ),
        pytest.param(
            checkout("95.00", item("100.00", discount="50.00")),
            {"percent": 10, "discounted_price": False},
            10,
            id="a stated total counts as sent, discounted or not: 9.5",
        ),
    ],
)
def test_earning_by_transaction(when: Event, earn: dict[str, Any], points: int) -> None:
    assert points_of(when, **earn) == points


@pytest.mark.parametrize(
    ("lines", "earn", "points"),
    [
        pytest.param(
            [item("14.00"), item("14.00")], {}, 2, id="each line is rounded by itself: 1.4 and 1.4"
        ),
        pytest.param([item("12.50", 2)], {}, 3, id="by subtotal a line is rounded once: 2.5"),
        pytest.param(
            [item("12.50", 2)],
            {"rounding_level": "piece"},
            2,
            id="by piece each piece is rounded: 1.25 twice",
        ),
        pytest.param(
            [item("15.00", 3)],
            {"rounding_level": "piece"},
            6,
            id="by piece halves add up: 1.5 three times",
        ),
        pytest.param(
            [item("10.00", 3, discount="1.00")],
            {"rounding_level": "piece", "rounding": "ceil"},
            3,
            id="a discounted piece is the subtotal's exact share: 29/3",
        ),
        pytest.param(
            [item("10.00", 3, discount="15.00")], {}, 2, id="a discount lowers the line: 1.5"
        ),
        pytest.param(
            [item("10.00", 3, discount="15.00")],
            {"discounted_price": False},
            3,
            id="unless the full price is rewarded",
        ),
        pytest.param(
            [item("10.00", 3, subtotal="50.00")], {}, 5, id="a stated subtotal is the line's amount"
        ),
        pytest.param(
            [item("10.00", 3, subtotal="50.00")],
            {"discounted_price": False},
            3,
            id="but not its full price",
        ),
        pytest.param(
            [item(None, 3, subtotal="50.00")],
            {"discounted_price": False},
            5,
            id="a line without a price has only its subtotal",
        ),
        pytest.param(
            [item("10.00", discount="15.00"), item("10.00")],
            {},
            1,
            id="a discount beyond the price earns nothing and takes nothing",
        ),
        pytest.param([item(None, 3)], {}, 0, id="a line without any amount earns nothing"),
    ],
)
def test_earning_by_item(lines: list[Any], earn: dict[str, Any], points: int) -> None:
    when = checkout("999.00", *lines)
    assert points_of(when, level="item", percent=10, **earn) == points


RULES = program(
    rated=account(
        burn={
            "rates": [
                {"points": 5, "amount": "1.00", "currency": "EUR"},
                {"points": 7, "amount": "1.50", "currency": "EUR"},
            ]
        }
    ),
    credit=account(earn={"percent": 10}, negative_points=True),
)


@pytest.mark.parametrize(
    ("given", "when", "then"),
    [
        pytest.param(
            [add(50, id="e-1")],
            checkout("120.00", points_burned=30),
            accepted(
                PointsSpent("main", 30, (LotUse("e-1", 0, 30),)), PointsEarned("main", 12, None)
            ),
            id="burns first, then earns",
        ),
        pytest.param(
            [add(10, id="e-1")],
            checkout("120.00", points_burned=20),
            refused("insufficient_points", account="main", missing=10),
            id="cannot burn what it is about to earn",
        ),
        pytest.param(
            [add(10, id="e-1")],
            checkout("0.00", points_burned=0),
            accepted(),
            id="a checkout may move no points at all",
        ),
        pytest.param(
            [add(100, id="e-1", expires_at=day(1))],
            checkout("120.00", points_burned=30, at=day(2)),
            refused("insufficient_points", account="main", missing=30),
            id="cannot burn what is due",
        ),
        pytest.param(
            [add(100, id="e-1", expires_at=day(1)), add(40, id="e-2")],
            checkout("120.00", points_burned=30, at=day(2)),
            accepted(
                PointsExpired("main", 100, (LotUse("e-1", 0, 100),)),
                PointsSpent("main", 30, (LotUse("e-2", 0, 30),)),
                PointsEarned("main", 12, None),
            ),
            id="what is due expires, then it burns, then it earns",
        ),
        pytest.param(
            [add(10, id="e-1", account="credit")],
            checkout("120.00", account="credit", points_burned=15),
            accepted(
                PointsSpent("credit", 15, (LotUse("e-1", 0, 10),), owed=5),
                PointsEarned("credit", 12, None, debt_paid=5),
            ),
            id="a burn below zero is paid back by the same checkout's earning",
        ),
        pytest.param(
            [add(50, id="e-1", account="rated")],
            checkout("1.00", account="rated", points_burned=20),
            accepted(PointsSpent("rated", 20, (LotUse("e-1", 0, 20),))),
            id="whole multiples of a burn rate convert",
        ),
        pytest.param(
            [add(50, id="e-1", account="rated")],
            checkout("1.00", account="rated", points_burned=21),
            accepted(PointsSpent("rated", 21, (LotUse("e-1", 0, 21),))),
            id="of several rates of a currency any will do",
        ),
        pytest.param(
            [add(50, id="e-1", account="rated")],
            checkout("1.00", account="rated", points_burned=22),
            refused("burn_rate", account="rated", currency="EUR"),
            id="other numbers of points do not convert",
        ),
        pytest.param(
            [add(50, id="e-1", account="rated")],
            checkout("1.00", account="rated", currency="USD", points_burned=20),
            refused("burn_rate", account="rated", currency="USD"),
            id="a currency without a rate converts nothing while others have one",
        ),
        pytest.param(
            [],
            checkout("1.00", account="rated", points_burned=22),
            refused("burn_rate", account="rated", currency="EUR"),
            id="the rate is checked before the balance",
        ),
        pytest.param(
            [add(INTEGER_END - 1)],
            checkout("120.00"),
            refused("balance_limit", account="main"),
            id="a score stays below 2^53",
        ),
        pytest.param(
            [],
            checkout(None, item("90000000000.00", 2**40), points_rewarded=1),
            refused("balance_limit", account="main"),
            id="so does the sum of the lines, in the smallest units",
        ),
        pytest.param(
            [suspend()],
            checkout("120.00"),
            accepted(PointsEarned("main", 12, None)),
            id="a suspended customer's checkout earns",
        ),
    ],
)
def test_burning_and_earning(given: list[Event], when: Event, then: Decision) -> None:
    assert decide(when, happened([opt_in(), *given], RULES), RULES) == then


def test_a_checkout_without_currency_is_in_the_programs() -> None:
    rules = program({"currency": "JPY"})
    when = checkout("120", currency=None)
    decision = decide(when, happened([opt_in()], rules), rules)
    assert decision.facts == (PointsEarned("main", 12, None),)
    assert transaction_of(when, decision, rules)[2:4] == (120, "JPY")  # type: ignore[index]


FIRST = {"facts": [{"type": "points_earned"}], "balances": {"main": {"score": 12}}}


def after_first(*later: Event) -> Any:
    """A customer whose transaction `T-1` is taken by a checkout of 120.00."""
    first = FirstCheckout(checkout("120.00").digest, FIRST)
    return happened([opt_in(), *later], RULES).with_checkouts({"T-1": first})


def test_the_same_checkout_again_answers_what_the_first_one_did_and_changes_nothing() -> None:
    assert decide(checkout("120.00", id="e-again"), after_first(), RULES) == Decision(
        "accepted", answer={**FIRST, "duplicate": True}
    )


def test_a_repeat_is_answered_whatever_the_standing_is_by_then() -> None:
    burning = checkout("1.00", points_burned=5)
    first = FirstCheckout(burning.digest, FIRST)
    state = happened([opt_in(), suspend()], RULES).with_checkouts({"T-1": first})
    assert decide(burning, state, RULES).outcome == "accepted"


@pytest.mark.parametrize(
    ("given", "when", "code"),
    [
        pytest.param([], checkout("120.01"), "transaction_exists", id="another total"),
        pytest.param(
            [], checkout("120.00", account="credit"), "transaction_exists", id="another account"
        ),
        pytest.param(
            [],
            checkout("1.00", account="rated", points_burned=22),
            "transaction_exists",
            id="the transaction is checked before amounts",
        ),
        pytest.param(
            [suspend()],
            checkout("1.00", points_burned=1),
            "customer_suspended",
            id="standing is checked before the transaction",
        ),
        pytest.param(
            [opt_out()],
            checkout("120.00"),
            "customer_opted_out",
            id="who has left has no transactions any more",
        ),
    ],
)
def test_a_transaction_id_is_taken_once(given: list[Event], when: Event, code: str) -> None:
    state = after_first()
    for past in given:
        state = fold(state, decide(past, state, RULES), past)
    assert decide(when, state, RULES).code == code


def test_an_accepted_checkout_is_kept_as_a_transaction() -> None:
    when = checkout(None, item("60.00", 2, discount="20.00"), points_burned=30)
    decision = decide(when, happened([opt_in(), add(50)], RULES), RULES)
    assert transaction_of(when, decision, RULES) == (
        "T-1",
        "main",
        100_00,
        "EUR",
        10,
        30,
        when.digest,
    )


@pytest.mark.parametrize(
    ("when", "given"),
    [
        pytest.param(checkout("1.00", account="none"), opt_in(), id="a refused one"),
        pytest.param(add(1), opt_in(), id="something that is no checkout"),
    ],
)
def test_nothing_else_is_kept_as_a_transaction(when: Event, given: Event) -> None:
    assert transaction_of(when, decide(when, happened([given], RULES), RULES), RULES) is None


def test_a_repeat_is_not_kept_as_another_transaction() -> None:
    when = checkout("120.00", id="e-again")
    assert transaction_of(when, decide(when, after_first(), RULES), RULES) is None


def test_an_outcome_shows_the_account_even_where_no_points_moved() -> None:
    when, state = checkout("0.00"), happened([opt_in(), add(5)], RULES)
    decision = decide(when, state, RULES)
    assert balances_after(decision, transaction_of(when, decision, RULES), state) == {
        "main": {
            "score": 5,
            "spent": 0,
            "pending": 0,
            "reserved": 0,
            "expired": 0,
            "spendable": 5,
        }
    }


def test_an_outcome_shows_only_the_accounts_that_were_touched() -> None:
    when, state = spend(5, account="credit"), happened([opt_in(), add(5)], RULES)
    decision = decide(when, state, RULES)
    after = fold(state, decision, when)
    assert list(balances_after(decision, None, after)) == ["credit"]
