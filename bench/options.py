"""How much is measured: the whole bench, or little of everything to see that it works."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes of every stage. The defaults take some six minutes on two cores."""

    events: int = 200_000
    """Checkouts of two lines: journal, points, pipeline, the bulk loop, plain inserts."""
    full_events: int = 60_000
    """Checkouts of ten lines."""
    per_event_events: int = 5_000
    customers: int = 2_500
    repeat: int = 1
    cache_gb: float = 2.0
    """Of mongod. The prototypes of the design were measured with as much."""
    partitions: int = 8
    gateway_seconds: float = 8.0
    warm_up_seconds: float = 2.0
    connections: int = 64
    batch_connections: int = 16
    latency_seconds: float = 20.0
    latency_rate: int = 200
    probe_every: int = 8
    """Of the events of the latency stage, one in so many is watched until it is visible."""
    history_earlier: int = 100_000
    history_events: int = 40_000
    soak_minutes: float = 10.0
    soak_rate: int = 1_000
    quick: bool = False

    def of(self, events: int) -> "Options":
        """Every drain in proportion to so many events; the defaults are those of 200,000."""
        return replace(
            self,
            events=events,
            full_events=events * 3 // 10,
            history_earlier=events // 2,
            history_events=max(events // 5, 100),
        )


QUICK = Options(
    events=3_000,
    full_events=600,
    per_event_events=100,
    customers=50,
    partitions=2,
    gateway_seconds=0.5,
    warm_up_seconds=0.2,
    cache_gb=0.25,
    latency_seconds=1.0,
    latency_rate=40,
    probe_every=4,
    history_earlier=2_000,
    history_events=1_000,
    soak_minutes=0.05,
    soak_rate=200,
    quick=True,
)
"""Says that the bench works, and nothing of how fast anything is."""
