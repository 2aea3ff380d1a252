"""Points added, subtracted and spent by hand: which facts follow, and which refusal."""

import pytest

from services.points.domain.decide import decide
from shared.contracts.decisions import Decision, accepted, refused
from shared.contracts.events import INTEGER_END, Event
from shared.contracts.facts import LotUse, PointsEarned, PointsSpent, PointsSubtracted
from tests.points.given import (
    account,
    add,
    checkout,
    day,
    happened,
    opt_in,
    program,
    spend,
    subtract,
    suspend,
)

MOST = INTEGER_END - 1
RULES = program(credit=account(negative_points=True))


@pytest.mark.parametrize(
    ("given", "when", "then"),
    [
        pytest.param(
            [],
            add(100),
            accepted(PointsEarned("main", 100, None)),
            id="adding makes a lot without expiry",
        ),
        pytest.param(
            [],
            add(100, expires_at=day(9)),
            accepted(PointsEarned("main", 100, day(9))),
            id="added points keep the expiry that was sent",
        ),
        pytest.param(
            [],
            add(100, expires_at=day(9).replace(microsecond=123_987)),
            accepted(PointsEarned("main", 100, day(9).replace(microsecond=123_000))),
            id="an expiry is kept in whole milliseconds",
        ),
        pytest.param(
            [suspend()],
            add(5),
            accepted(PointsEarned("main", 5, None)),
            id="a suspended customer earns",
        ),
        pytest.param(
            [add(MOST)],
            add(1),
            refused("balance_limit", account="main"),
            id="a score stays below 2^53",
        ),
    ],
)
def test_adding(given: list[Event], when: Event, then: Decision) -> None:
    assert decide(when, happened([opt_in(), *given], RULES), RULES) == then


@pytest.mark.parametrize(
    ("given", "when", "then"),
    [
        pytest.param(
            [add(100, id="e-1")],
            spend(30),
            accepted(PointsSpent("main", 30, (LotUse("e-1", 0, 30),))),
            id="takes from the lot",
        ),
        pytest.param(
            [add(100, id="e-1")],
            spend(101),
            refused("insufficient_points", account="main", missing=1),
            id="never overdraws",
        ),
        pytest.param(
            [],
            spend(1),
            refused("insufficient_points", account="main", missing=1),
            id="an account without points has nothing to give",
        ),
        pytest.param(
            [
                add(10, id="e-never"),
                add(10, id="e-late", expires_at=day(9)),
                add(10, id="e-soon", expires_at=day(2)),
            ],
            spend(25),
            accepted(
                PointsSpent(
                    "main",
                    25,
                    (LotUse("e-soon", 0, 10), LotUse("e-late", 0, 10), LotUse("e-never", 0, 5)),
                )
            ),
            id="takes what expires first, lots without expiry last",
        ),
        pytest.param(
            [
                add(10, id="e-second", expires_at=day(9), time=day(-1)),
                add(10, id="e-first", expires_at=day(9), time=day(-2)),
            ],
            spend(11),
            accepted(PointsSpent("main", 11, (LotUse("e-first", 0, 10), LotUse("e-second", 0, 1)))),
            id="of lots with one expiry, takes the one that was earned first",
        ),
        pytest.param(
            [add(10, id="e-1"), add(10, id="e-2")],
            spend(10),
            accepted(PointsSpent("main", 10, (LotUse("e-1", 0, 10),))),
            id="of lots earned at one moment, takes the one that was recorded first",
        ),
        pytest.param(
            [add(10, id="e-1"), spend(10), add(10, id="e-2")],
            spend(4),
            accepted(PointsSpent("main", 4, (LotUse("e-2", 0, 4),))),
            id="passes over lots that are used up",
        ),
        pytest.param(
            [add(10, id="e-1", account="credit")],
            spend(15, account="credit"),
            accepted(PointsSpent("credit", 15, (LotUse("e-1", 0, 10),), owed=5)),
            id="goes below zero where the account allows it",
        ),
        pytest.param(
            [spend(5, account="credit")],
            spend(5, account="credit"),
            accepted(PointsSpent("credit", 5, (), owed=5)),
            id="a debt may grow",
        ),
        pytest.param(
            [spend(MOST, account="credit")],
            spend(1, account="credit"),
            refused("balance_limit", account="credit"),
            id="what was spent stays below 2^53",
        ),
        pytest.param(
            [suspend()],
            spend(1),
            refused("customer_suspended"),
            id="a suspended customer spends nothing",
        ),
    ],
)
def test_spending(given: list[Event], when: Event, then: Decision) -> None:
    assert decide(when, happened([opt_in(), *given], RULES), RULES) == then


@pytest.mark.parametrize(
    ("given", "when", "then"),
    [
        pytest.param(
            [add(100, id="e-1")],
            subtract(30),
            accepted(PointsSubtracted("main", 30, (LotUse("e-1", 0, 30),))),
            id="takes from the lot",
        ),
        pytest.param(
            [add(100, id="e-1")],
            subtract(101),
            refused("insufficient_points", account="main", missing=1),
            id="never overdraws",
        ),
        pytest.param(
            [],
            subtract(7, account="credit"),
            accepted(PointsSubtracted("credit", 7, (), owed=7)),
            id="goes below zero where the account allows it",
        ),
        pytest.param(
            [add(10, id="e-1"), suspend()],
            subtract(10),
            accepted(PointsSubtracted("main", 10, (LotUse("e-1", 0, 10),))),
            id="corrects a suspended customer",
        ),
        pytest.param(
            [subtract(MOST, account="credit")],
            subtract(1, account="credit"),
            refused("balance_limit", account="credit"),
            id="no balance falls below -2^53",
        ),
    ],
)
def test_subtracting(given: list[Event], when: Event, then: Decision) -> None:
    assert decide(when, happened([opt_in(), *given], RULES), RULES) == then


def test_a_debt_takes_its_part_of_a_later_earning_first() -> None:
    state = happened([opt_in(), spend(30, account="credit")], RULES)
    assert decide(add(50, account="credit"), state, RULES) == accepted(
        PointsEarned("credit", 50, None, debt_paid=30)
    )
    after = happened([opt_in(), spend(30, account="credit"), add(50, account="credit")], RULES)
    assert [lot.free for lot in after.account("credit").lots.known()] == [20]


def test_an_earning_that_a_debt_takes_whole_leaves_no_open_lot() -> None:
    state = happened(
        [opt_in(), spend(30, account="credit"), add(20, account="credit", id="e-1")], RULES
    )
    assert state.account("credit").spendable == -10
    assert [lot.event for lot in state.account("credit").lots.closed] == ["e-1"]


def test_a_spend_lowers_only_what_is_spendable_and_a_correction_the_score() -> None:
    state = happened([opt_in(), add(100), spend(30), subtract(20)], RULES)
    main = state.account("main")
    assert (main.score, main.spent, main.spendable) == (80, 30, 50)


def test_an_account_that_no_longer_allows_debts_refuses_new_ones_but_keeps_the_old() -> None:
    state = happened([opt_in(), spend(30, account="credit")], RULES)
    strict = program(credit=account())
    assert decide(spend(1, account="credit"), state, strict).code == "insufficient_points"
    assert decide(add(40, account="credit"), state, strict) == accepted(
        PointsEarned("credit", 40, None, debt_paid=30)
    )


def test_a_checkout_and_points_by_hand_share_the_same_lots() -> None:
    state = happened([opt_in(), checkout("50.00", id="e-1")], RULES)
    assert decide(spend(5), state, RULES) == accepted(
        PointsSpent("main", 5, (LotUse("e-1", 0, 5),))
    )
