"""A rate is kept over time; pauses grow, and the server's wish is the least."""

import pytest

from cli.pacing import BACKOFF_SECONDS_MAX, PATIENCE_SECONDS, backoff, paced
from cli.sending import Sending


def test_without_a_rate_nothing_waits() -> None:
    assert paced(0.0, 100.0, 1, None) == (0.0, 0.0)


def test_a_rate_is_kept_over_many_events() -> None:
    next_at, now = 0.0, 100.0
    for _ in range(500):
        delay, next_at = paced(next_at, now, 1, 50.0)
        now += delay
    assert now == pytest.approx(100.0 + 499 / 50)


def test_a_pause_is_not_made_up_for_by_a_burst() -> None:
    _, next_at = paced(0.0, 100.0, 1, 10.0)
    delay, next_at = paced(next_at, 200.0, 1, 10.0)
    assert delay == 0.0
    assert next_at == pytest.approx(200.1)


@pytest.mark.parametrize(
    ("attempt", "retry_after", "luck", "seconds"),
    [
        pytest.param(0, None, 0.0, 0.1, id="the first pause is short"),
        pytest.param(0, None, 1.0, 0.2, id="and spread"),
        pytest.param(3, None, 1.0, 1.6, id="pauses double"),
        pytest.param(30, None, 1.0, BACKOFF_SECONDS_MAX, id="up to a limit"),
        pytest.param(0, "3", 1.0, 3.0, id="the server asks for more"),
        pytest.param(0, "99999", 1.0, PATIENCE_SECONDS, id="or for too much"),
        pytest.param(0, "Wed, 21 Oct 2026 07:28:00 GMT", 1.0, 0.2, id="a date is no number"),
    ],
)
def test_pauses(attempt: int, retry_after: str | None, luck: float, seconds: float) -> None:
    assert backoff(attempt, retry_after, luck) == pytest.approx(seconds)


@pytest.mark.parametrize(("rate", "events"), [(None, 250), (5.0, 1), (100.0, 10), (100_000.0, 250)])
def test_a_slow_rate_makes_small_batches(rate: float | None, events: int) -> None:
    assert Sending("http://gateway", "key", rate=rate).batch_events == events
