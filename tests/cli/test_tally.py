"""What the gateway's answers mean for the counts."""

from typing import Any

import pytest

from cli.tally import PROBLEMS_KEPT, Tally

REFUSED = {"status": 409, "code": "customer_opted_out", "detail": "Gone.", "id": "e-1"}


@pytest.mark.parametrize(
    ("item", "counts"),
    [
        pytest.param({"status": "accepted", "duplicate": False}, (1, 0, 0, 0), id="new"),
        pytest.param({"status": "accepted", "duplicate": True}, (0, 1, 0, 0), id="repeat"),
        pytest.param({"status": "queued"}, (0, 0, 1, 0), id="outcome not seen"),
        pytest.param(REFUSED, (0, 0, 0, 1), id="refusal"),
        pytest.param(REFUSED | {"duplicate": True}, (0, 0, 0, 1), id="refused as before"),
        pytest.param({}, (0, 0, 0, 1), id="an answer that nobody knows"),
    ],
)
def test_each_answer_counts_once(item: dict[str, Any], counts: tuple[int, int, int, int]) -> None:
    tally = Tally()
    tally.count(item)
    assert (tally.accepted, tally.repeats, tally.queued, tally.refused.total()) == counts
    assert tally.answered == 1


def test_the_first_problems_are_kept_in_words_and_all_are_counted() -> None:
    tally = Tally()
    for number in range(PROBLEMS_KEPT + 5):
        tally.count(REFUSED | {"id": f"e-{number}"})
    assert tally.refused == {"customer_opted_out": PROBLEMS_KEPT + 5}
    assert len(tally.problems) == PROBLEMS_KEPT
    assert tally.problems[0] == "customer_opted_out: e-0: Gone."


def test_a_bad_body_is_told_with_the_place_in_it() -> None:
    tally = Tally()
    errors = [{"pointer": "/data/points", "detail": "must be 1 or more"}]
    tally.count({"status": 422, "code": "body_invalid", "id": "e", "errors": errors})
    assert "[/data/points: must be 1 or more]" in tally.problems[0]
