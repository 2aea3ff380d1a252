"""The topics: names, keys, payloads and how long each keeps its messages."""

from typing import NamedTuple

DAY_MS = 86_400_000
LOG_RETENTION_MS = 14 * DAY_MS
OUTCOMES_RETENTION_MS = 3_600_000
DEAD_RETENTION_MS = 90 * DAY_MS


class Topic(NamedTuple):
    """One topic. All have the same number of partitions, so that partition p of each holds the
    same customers; `events.outcomes` alone is keyed by who waits."""

    name: str
    key: str
    payload: str
    written_by: str
    retention_ms: int = LOG_RETENTION_MS


INBOX = Topic("events.inbox", "tenant/customer", "events.Logged", "gateway, services")
LOG = Topic("events.log", "tenant/customer", "events.Logged or a tick", "journal")
OUTCOMES = Topic(
    "events.outcomes",
    "gateway instance",
    "an outcome or a problem",
    "owners, journal",
    OUTCOMES_RETENTION_MS,
)
CUSTOMERS_FACTS = Topic("customers.facts", "tenant/customer", "facts.CustomersFact[]", "customers")
POINTS_FACTS = Topic("points.facts", "tenant/customer", "facts.PointsFact[]", "points")


def dead(topic: str) -> str:
    """Where messages of `topic` go that cannot be read, as bytes, with why and where from."""
    return f"{topic}.dead"


_LIVE = (INBOX, LOG, OUTCOMES, CUSTOMERS_FACTS, POINTS_FACTS)
TOPICS: tuple[Topic, ...] = _LIVE + tuple(
    Topic(
        dead(topic.name),
        topic.key,
        "the original bytes",
        "the service that failed",
        DEAD_RETENTION_MS,
    )
    for topic in _LIVE
    if topic is not OUTCOMES
)
