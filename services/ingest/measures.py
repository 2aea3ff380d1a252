"""What the gateway counts; labels are closed sets: the codes of problems, never an id."""

from prometheus_client import Counter, Gauge, Histogram

from shared.contracts.problems import KINDS

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

_EVENTS = Counter("laurel_gateway_events", "Submitted events by result", ["result"])
QUEUED = _EVENTS.labels("queued")
REFUSED = {code: _EVENTS.labels(code) for code in KINDS}
"""By the code of the problem with which the door refused; owners count their own refusals."""
RATE_LIMITED = Counter(
    "laurel_gateway_rate_limited", "Requests refused since their key sends too fast", ["tenant"]
)
"""Tenants are those of the settings' keys."""
PRODUCE_SECONDS = Histogram(
    "laurel_gateway_produce_seconds",
    "From handing a request's events to the producer until all are acknowledged",
    buckets=_SECONDS,
)
WAIT_SECONDS = Histogram(
    "laurel_gateway_wait_seconds",
    "From the acknowledgement until the outcomes are there or the time is up",
    buckets=_SECONDS,
)
QUEUE_FULL = Counter(
    "laurel_gateway_queue_full", "Events refused since too many wait for the broker"
)
QUEUE = Gauge(
    "laurel_gateway_queue_messages", "Events handed to the producer and not yet acknowledged"
)
KAFKA_AWAY = Gauge("laurel_gateway_kafka_away", "1 while no broker answers, else 0")
