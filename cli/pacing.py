"""When to send: a rate that is kept, and pauses that grow while the gateway is away."""

PATIENCE_SECONDS = 300.0
"""How long one batch is tried before the load gives up."""
BACKOFF_SECONDS_MAX = 10.0


def paced(next_at: float, now: float, events: int, rate: float | None) -> tuple[float, float]:
    """When `events` may go at `rate` events/s: (seconds to wait, the new `next_at`).

    A pause is not made up for by a burst.
    """
    if rate is None:
        return 0.0, next_at
    starts = max(next_at, now)
    return starts - now, starts + events / rate


def backoff(attempt: int, retry_after: str | None, luck: float) -> float:
    """Seconds until try `attempt` + 1; `luck` in 0..1. What the server asks for is the least."""
    grown: float = min(BACKOFF_SECONDS_MAX, 0.2 * 2**attempt) * (0.5 + luck / 2)
    asked = float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
    return min(max(grown, asked), PATIENCE_SECONDS)
