"""Parked events beside the log: who waits, from when on, and who must not have been decided."""

from typing import Any

import pytest

from cli.verify.findings import Findings
from cli.verify.parked import Parked, parked_of
from shared.contracts.decisions import number

Document = dict[str, Any]
PARTITION = 2


def event(seq: int, customer: str = "c-1") -> Document:
    return {
        "id": f"e-{seq}", "tenant": "demo", "customer": customer, "action": "point_add",
        "partition": PARTITION, "seq": seq, "at": seq, "body": "{}",
    }  # fmt: skip


def record(of: Document, **more: object) -> Document:
    """Waits; with `decision` it was decided."""
    names = ("tenant", "customer", "action", "at")
    waits = {} if "decision" in more else {"value": b"{}"}
    id_ = number(PARTITION, of["seq"])
    return {"_id": id_, "event": of["id"], **{name: of[name] for name in names}, **waits, **more}


def customer(waiting: int, first: int, **more: object) -> Document:
    return {
        "_id": "demo/c-1", "tenant": "demo", "customer": "c-1", "partition": PARTITION,
        "waiting": waiting, "first": number(PARTITION, first), "event": f"e-{first}", **more,
    }  # fmt: skip


def met(records: list[Document], customers: list[Document]) -> tuple[Parked, Findings]:
    """After events 1 to 5 of one customer."""
    found = Findings(50)
    parked = parked_of("points", records, customers, found)
    for seq in range(1, 6):
        parked.meet(event(seq), number(PARTITION, seq))
    return parked, found


def test_who_waits_is_parked_since_the_first() -> None:
    waiting = [record(event(3)), record(event(4)), record(event(5))]
    parked, found = met(waiting, [customer(3, first=3)])
    parked.finish()
    assert found.differences == []
    assert parked.waits["demo/c-1"] == 3
    assert found.checked["points.parked"] == 3


def test_what_was_decided_later_is_known_by_its_decision() -> None:
    decided = number(PARTITION, 5, 1)
    parked, found = met([record(event(3), decision=decided)], [])
    origin = parked.decided({"_id": decided, "event": "e-3"})
    parked.finish()
    assert found.differences == []
    assert origin is not None
    assert (origin["seq"], parked.waits["demo/c-1"]) == (3, 0)


def test_one_that_raised_again_stays_parked_since_the_first() -> None:
    decided = number(PARTITION, 5)
    records = [record(event(3), decision=decided), record(event(4))]
    parked, found = met(records, [customer(1, first=3, event="e-4")])
    parked.decided({"_id": decided, "event": "e-3"})
    parked.finish()
    assert found.differences == []


@pytest.mark.parametrize(
    ("records", "customers", "said"),
    [
        pytest.param([record(event(3))], [], "waits, but its customer is not parked", id="alone"),
        pytest.param([], [customer(1, 3)], "is parked, but no event of it waits", id="nothing"),
        pytest.param([record(event(3))], [customer(2, 3)], "waiting is 2, not 1", id="count"),
        pytest.param(
            [record(event(3))], [customer(1, 3, event="e-4")], "event is 'e-4', not 'e-3'", id="who"
        ),
        pytest.param([record(event(3))], [customer(1, 4)], "first is", id="since later"),
        pytest.param([record(event(9))], [], "stands for 2-9, where no event", id="no such place"),
        pytest.param(
            [record(event(3), action="checkout")], [customer(1, 3)], "action is", id="other stamps"
        ),
        pytest.param(
            [record(event(3), value=b"[]")], [customer(1, 3)], "value is", id="another message"
        ),
        pytest.param(
            [record(event(3), decision=7)], [], "waited for the decision 7, which", id="undecided"
        ),
    ],
)
def test_what_is_wrong_is_said(
    records: list[Document], customers: list[Document], said: str
) -> None:
    parked, found = met(records, customers)
    parked.finish()
    assert any(said in difference.sentence for difference in found.differences)
    assert {difference.customer for difference in found.differences} == {"demo/c-1"}
