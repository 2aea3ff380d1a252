"""Lanes: order per customer, and a mark below which everything is answered."""

from collections import defaultdict
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from cli.lanes import BATCH_BYTES_MAX, Batch, Lanes, lane_of
from cli.shopping import Line

CUSTOMERS = st.sampled_from([f"household-{number}" for number in range(12)])


def _line(customer: str, number: int) -> Line:
    return Line(customer, b"%d" % number)


@given(st.lists(CUSTOMERS, max_size=80), st.integers(1, 5), st.integers(1, 7))
def test_every_line_is_in_one_batch_and_a_customer_s_lines_keep_their_order(
    customers: list[str], lanes: int, size: int
) -> None:
    batches = _batches(Lanes(lanes, size, 0), customers)
    per_customer: dict[str, list[int]] = defaultdict(list)
    for batch in batches:
        assert 0 < len(batch.lines) <= size
        for line in batch.lines:
            assert lane_of(line.customer, lanes) == batch.lane
            per_customer[line.customer].append(int(line.body))
    assert all(numbers == sorted(numbers) for numbers in per_customer.values())
    assert sorted(chain.from_iterable(per_customer.values())) == list(range(len(customers)))


@given(st.lists(CUSTOMERS, min_size=1, max_size=60), st.integers(1, 5), st.data())
def test_the_mark_never_passes_an_unanswered_line(
    customers: list[str], lanes: int, data: st.DataObject
) -> None:
    spread = Lanes(lanes, 4, 0)
    waiting: dict[int, list[Batch]] = defaultdict(list)
    for batch in _batches(spread, customers):
        waiting[batch.lane].append(batch)
    unanswered = set(range(len(customers)))
    assert spread.sent == 0
    while any(waiting.values()):
        lane = data.draw(st.sampled_from([lane for lane, left in waiting.items() if left]))
        batch = waiting[lane].pop(0)  # a lane has one batch in flight: its oldest
        spread.answered(batch)
        unanswered -= {int(line.body) for line in batch.lines}
        assert spread.sent == min(unanswered, default=len(customers))


def test_a_batch_stays_below_what_the_gateway_takes() -> None:
    lanes = Lanes(1, 1000, 0)
    half = Line("c-1", b"x" * (BATCH_BYTES_MAX // 2))
    batches = [batch for index in range(5) for batch in lanes.put(index, half)]
    batches += lanes.rest()
    assert [len(batch.lines) for batch in batches] == [2, 2, 1]


def test_a_line_that_cannot_be_sent_does_not_hold_the_mark() -> None:
    lanes = Lanes(2, 10, 5)
    assert lanes.sent == 5
    lanes.skip(5)
    assert lanes.sent == 6


def _batches(lanes: Lanes, customers: list[str]) -> list[Batch]:
    numbered = enumerate(customers)
    full = [batch for number, one in numbered for batch in lanes.put(number, _line(one, number))]
    return full + list(lanes.rest())
