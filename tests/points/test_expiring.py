"""Expiring: what is due goes first, in every decision on its account, and only there."""

import pytest

from services.points.domain.decide import decide
from services.points.domain.evolve import fold
from shared.contracts.decisions import Decision, accepted, refused
from shared.contracts.events import Event
from shared.contracts.facts import LotUse, PointsEarned, PointsExpired, PointsSpent
from tests.points.given import account, add, checkout, day, happened, opt_in, program, spend

RULES = program(other=account())
DUE = PointsExpired("main", 10, (LotUse("e-1", 0, 10),))


@pytest.mark.parametrize(
    ("when", "then"),
    [
        pytest.param(
            add(5, at=day(1)),
            accepted(DUE, PointsEarned("main", 5, None)),
            id="a lot expires at its very instant",
        ),
        pytest.param(
            add(5, at=day(1).replace(hour=11)),
            accepted(PointsEarned("main", 5, None)),
            id="not before",
        ),
        pytest.param(
            add(5, at=day(2), time=day(0)),
            accepted(DUE, PointsEarned("main", 5, None)),
            id="when it was recorded counts, not when it happened",
        ),
        pytest.param(
            add(5, at=day(2), account="other"),
            accepted(PointsEarned("other", 5, None)),
            id="other accounts are left alone",
        ),
        pytest.param(
            spend(20, at=day(2)),
            accepted(DUE, PointsSpent("main", 20, (LotUse("e-2", 0, 20),))),
            id="what is due cannot be spent",
        ),
        pytest.param(
            spend(21, at=day(2)),
            refused("insufficient_points", account="main", missing=1),
            id="a refusal changes nothing: it expires nothing either",
        ),
        pytest.param(
            add(5, at=day(30)),
            accepted(
                PointsExpired("main", 30, (LotUse("e-1", 0, 10), LotUse("e-2", 0, 20))),
                PointsEarned("main", 5, None),
            ),
            id="several lots expire in one fact",
        ),
        pytest.param(
            checkout("0.00", at=day(2)),
            accepted(DUE),
            id="a checkout that moves no points lets them go too",
        ),
    ],
)
def test_due_lots_expire_first(when: Event, then: Decision) -> None:
    given = [
        opt_in(),
        add(10, id="e-1", expires_at=day(1)),
        add(20, id="e-2", expires_at=day(9)),
    ]
    assert decide(when, happened(given, RULES), RULES) == then


def test_only_what_is_left_of_a_lot_expires() -> None:
    given = [opt_in(), add(10, id="e-1", expires_at=day(1)), spend(4)]
    state = happened(given, RULES)
    when = add(5, at=day(2))
    decision = decide(when, state, RULES)
    assert decision.facts[0] == PointsExpired("main", 6, (LotUse("e-1", 0, 6),))
    main = fold(state, decision, when).account("main")
    assert (main.score, main.spent, main.expired, main.spendable) == (15, 4, 6, 5)
    assert main.lots.closed == (("e-1", 0, 4, 6),)


def test_without_the_module_nothing_expires_and_dates_count_when_it_is_back() -> None:
    off = program({"modules": ["tiers"]})
    state = happened([opt_in(), add(10, id="e-1", expires_at=day(1))], off)
    assert decide(spend(10, at=day(2)), state, off) == accepted(
        PointsSpent("main", 10, (LotUse("e-1", 0, 10),))
    )
    assert decide(add(5, at=day(2)), state, RULES) == accepted(DUE, PointsEarned("main", 5, None))
