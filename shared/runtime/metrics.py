"""Every metric of workers and HTTP services; the unit is in the name, labels are closed sets.

What each means and when to worry: `docs/operating/metrics.md`. The gateway has some of its own.
"""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram, Info

VERSION = "0.1.0"
"""Of the code that runs; as in pyproject.toml."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)

MESSAGES = Counter("laurel_messages", "Messages taken into a committed batch", ["service", "topic"])
DROPPED = Counter("laurel_messages_repeated", "Messages dropped as seen before", ["service"])
DEAD = Counter("laurel_messages_dead", "Messages sent to a dead topic", ["service", "topic"])
ANNOUNCED = Counter("laurel_announced", "Messages announced", ["service", "topic"])
RESENT = Counter("laurel_resent", "Messages announced again after a take-over", ["service"])
DECISIONS = Counter("laurel_decisions", "Decisions by outcome", ["service", "outcome"])
BATCH_MESSAGES = Histogram(
    "laurel_batch_messages", "Messages in a batch", ["service"], buckets=_SIZES
)
DECIDE_SECONDS = Histogram(
    "laurel_decide_seconds", "Loading and deciding a batch", ["service"], buckets=_SECONDS
)
COMMIT_SECONDS = Histogram(
    "laurel_commit_seconds", "The transaction of a batch", ["service"], buckets=_SECONDS
)
REDONE = Counter("laurel_batches_redone", "Batches decided again, by reason", ["service", "reason"])
FENCED = Counter("laurel_fenced", "Partitions lost to another worker's epoch", ["service"])
PARTITIONS = Gauge("laurel_partitions", "Partitions owned now", ["service"])
BROKEN = Gauge("laurel_partitions_broken", "Partitions stopped by a broken chain", ["service"])
LAG = Gauge(
    "laurel_lag_messages", "Messages not yet taken, over all partitions", ["service", "topic"]
)
LAG_SECONDS = Gauge(
    "laurel_lag_seconds",
    "Age of the oldest message not yet taken, over all partitions; 0: none waits",
    ["service", "topic"],
)
PARKED_CUSTOMERS = Gauge("laurel_parked_customers", "Customers parked now", ["service"])
PARKED_EVENTS = Gauge("laurel_parked_events", "Events of parked customers that wait", ["service"])
JOURNAL_EVENTS = Counter(
    "laurel_journal_events", "Events that reached the journal, by what they were", ["result"]
)
READY = Gauge("laurel_ready", "1 while this worker serves, else 0", ["service"])
PARTITIONS_CONFIGURED = Gauge(
    "laurel_partitions_configured", "Partitions that all workers own together", ["service"]
)
HTTP_REQUESTS = Counter("laurel_http_requests", "Requests by class of status", ["status"])
HTTP_SECONDS = Histogram(
    "laurel_http_seconds",
    "From a request's headers to the last byte of its answer",
    buckets=(*_SECONDS, 10, 30),
)
BUILD = Info("laurel_build", "The version that runs")


def begin(service: str, topics: Iterable[str], partitions: int) -> None:
    """A worker starts: what is counted begins at 0, or the first dead letter would be no increase.

    An alert looks at increases; a series that appears with 1 has none.
    """
    BUILD.info({"version": VERSION})
    PARTITIONS_CONFIGURED.labels(service).set(partitions)
    for counter in (DROPPED, RESENT, FENCED):
        counter.labels(service)
    for reason in ("fenced", "conflict", "unavailable"):
        REDONE.labels(service, reason)
    for topic in topics:
        DEAD.labels(service, topic)
        MESSAGES.labels(service, topic)
