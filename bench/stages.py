"""Which stages there are, what each needs, and running those that are wanted."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from bench import beside, doors, draining, history, latency
from bench.ground import Ground
from bench.problems import BenchError
from bench.profiling import Profiler
from bench.usage import Measured

ALONE = ("journal", "points", "raw_insert_many", "loop_bulk", "loop_per_event")
"""Measured one after the other in one namespace: each reads what the journal wrote."""


@dataclass(slots=True)
class Findings:
    """Measurements by stage; says each as soon as it is there."""

    say: Callable[[str], None]
    runs: dict[str, list[Measured]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Why a group of stages ended before its time, by its title."""

    def add(self, key: str, measured: Measured) -> None:
        """One more repetition."""
        self.runs.setdefault(key, []).append(measured)
        self.say(
            f"  {key}: {measured.rate:,.0f} events/s, {measured.cpu_microseconds():.0f} µs CPU, "
            f"{measured.documents_per_event:.2f} documents per event"
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Stages that share a namespace. `keys` in the order in which they are measured."""

    title: str
    keys: tuple[str, ...]
    measure: Callable[[Ground, Collection[str], Profiler, Findings], None]


def run(
    ground: Ground,
    groups: Sequence[Group],
    wanted: Collection[str],
    profiler: Profiler,
    say: Callable[[str], None],
) -> Findings:
    """All stages that are wanted, in turn, as often as the options say; one that fails does not
    keep the others from being measured."""
    findings = Findings(say)
    for number in range(1, ground.options.repeat + 1):
        if ground.options.repeat > 1:
            say(f"repetition {number} of {ground.options.repeat}")
        for group in groups:
            if mine := [key for key in group.keys if key in wanted]:
                say(f"{group.title} …")
                try:
                    group.measure(ground, mine, profiler, findings)
                except BenchError as error:
                    findings.failed[group.title] = str(error)
                    say(f"  failed: {error}")
    return findings


def _alone(ground: Ground, wanted: Collection[str], profiler: Profiler, findings: Findings) -> None:
    with draining.prepared(ground, "alone", ("journal", "points"), lines=2) as ready:
        measured = draining.journal(ready, profiler)
        if "journal" in wanted:
            findings.add("journal", measured)
        if "points" in wanted:
            findings.add("points", draining.points(ready, profiler))
        for loop in beside.NAMES:
            if loop in wanted:
                findings.add(loop, beside.measure(ready, loop, ground.options))


def _pipeline(ground: Ground, _: Collection[str], profiler: Profiler, findings: Findings) -> None:
    findings.add("pipeline", draining.pipeline(ground, profiler))


def _full(ground: Ground, _: Collection[str], profiler: Profiler, findings: Findings) -> None:
    findings.add("pipeline_full", draining.pipeline_full(ground, profiler))


def _doors(ground: Ground, wanted: Collection[str], profiler: Profiler, findings: Findings) -> None:
    for key in wanted:
        findings.add(key, doors.measure(ground, key, profiler))


def _latency(ground: Ground, _: Collection[str], profiler: Profiler, findings: Findings) -> None:
    findings.add("latency", latency.measure(ground, profiler))


def _history(ground: Ground, _: Collection[str], profiler: Profiler, findings: Findings) -> None:
    for key, measured in history.measure(ground, profiler).items():
        findings.add(key, measured)


GROUPS = (
    Group("journal, then points over its log, then hand-written loops", ALONE, _alone),
    Group("journal and points together", ("pipeline",), _pipeline),
    Group("ten-line checkouts through all services", ("pipeline_full",), _full),
    Group("the gateway", tuple(doors.BATCHES), _doors),
    Group("latency of the whole stack", ("latency",), _latency),
    Group("a long history", ("history_long", "history_fresh"), _history),
)
