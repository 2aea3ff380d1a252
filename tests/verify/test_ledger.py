"""The ledger: what decisions say of balances and lots is added up, and what cannot be is said."""

from datetime import datetime
from typing import Any

import pytest

from cli.verify.findings import Findings
from cli.verify.ledger import Ledger

AT = datetime(2026, 3, 1)  # noqa: DTZ001  # naive, as the auditor reads them
Document = dict[str, Any]


def earned(points: int, **more: object) -> Document:
    return {
        "type": "points_earned", "account": "main", "points": points, "expires_at": None, **more
    }  # fmt: skip


def spent(points: int, *lots: tuple[str, int], owed: int = 0) -> Document:
    uses = [{"event": event, "n": 0, "points": part} for event, part in lots]
    return {
        "type": "points_spent", "account": "main", "points": points, "lots": uses, "owed": owed
    }  # fmt: skip


def expired(points: int, *lots: tuple[str, int]) -> Document:
    return {**spent(points, *lots), "type": "points_expired"}


def decision(number: int, fact: Document, *, score: int = 0, gone: int = 0) -> Document:
    """Of event `e-<number>`; `score` after it, and what of it was spent or expired."""
    expires = fact["type"] == "points_expired"
    balances = {"score": score, "spent": 0, "pending": 0, "reserved": 0, "expired": 0}
    balances["expired" if expires else "spent"] = gone
    return {
        "_id": number,
        "event": f"e-{number}",
        "tenant": "demo",
        "customer": "c-1",
        "at": AT,
        "time": AT,
        "facts": [fact],
        "result": {"balances": {"main": {**balances, "spendable": score - gone}}},
    }


def folded(*decisions: Document) -> tuple[Ledger, list[str]]:
    found = Findings(50)
    ledger = Ledger(found)
    for each in decisions:
        ledger.fold(each)
    return ledger, [difference.sentence for difference in found.differences]


def test_points_are_earned_and_spent_to_the_last() -> None:
    ledger, wrong = folded(
        decision(1, earned(5), score=5),
        decision(2, earned(7), score=12),
        decision(3, spent(6, ("e-1", 5), ("e-2", 1)), score=12, gone=6),
    )
    account = ledger.customers["demo/c-1"].accounts["main"]
    assert wrong == []
    assert (account.spendable, account.open, list(account.lots)) == (6, 6, [("e-2", 0)])
    assert ledger.closed == {"demo/c-1\x1f1/e-1/0/main": {"used": 5, "expired": 0}}


def test_who_is_forgotten_begins_anew() -> None:
    forgotten = {"type": "standing_changed", "standing": "opted_out", "forgotten": True}
    gone = {**decision(2, earned(1)), "facts": [forgotten], "result": {"balances": {}}}
    ledger, wrong = folded(decision(1, earned(5), score=5), gone, decision(3, earned(2), score=2))
    customer = ledger.customers["demo/c-1"]
    assert wrong == []
    assert (customer.generation, customer.forgotten) == (2, 2)
    assert customer.accounts["main"].score == 2


@pytest.mark.parametrize(
    ("last", "said"),
    [
        pytest.param(
            decision(2, spent(6, ("e-1", 6)), score=5, gone=6),
            "takes 6 points of lot e-1/0, which has 5",
            id="more than the lot has",
        ),
        pytest.param(
            decision(2, spent(2, ("e-9", 2)), score=5, gone=2),
            "takes 2 points of lot e-9/0, which is not open",
            id="a lot that never was",
        ),
        pytest.param(
            decision(2, spent(3, ("e-1", 2)), score=5, gone=3),
            "takes 3 points, but lots and debt give 2",
            id="less than it says",
        ),
        pytest.param(
            decision(2, expired(5, ("e-1", 5)), score=5, gone=5),
            "expires lot e-1/0 before its date",
            id="too early",
        ),
        pytest.param(
            decision(2, earned(1), score=7),
            "account main as shown after it: score is 7, not 6, spendable is 7, not 6, by the "
            "facts",
            id="another sum",
        ),
        pytest.param(
            decision(2, {**earned(1), "type": "points_found"}, score=6),
            "states 'points_found', a fact that verify does not know",
            id="a fact of another age",
        ),
    ],
)
def test_what_cannot_be_is_said(last: Document, said: str) -> None:
    _, wrong = folded(decision(1, earned(5), score=5), last)
    assert wrong[0] == said


def test_balances_that_differ_once_are_said_once() -> None:
    _, wrong = folded(*(decision(number, earned(1), score=number + 1) for number in range(1, 9)))
    assert len(wrong) == 1
