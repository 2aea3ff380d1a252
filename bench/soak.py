"""The whole stack under a steady load for minutes: whether each process's memory stays flat."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench import children, latency
from bench.ground import KEY, Ground, Stage
from bench.options import Options
from bench.problems import BenchError
from bench.progress import Progress
from bench.usage import MEGABYTE, rss_bytes

EVERY_SECONDS = 5.0
WARM_UP_SHARE = 1 / 3
"""Of the samples, the first ones: caches fill, the collector finds its pace."""
TEN_MINUTES = 600.0
FLAT_MB = 8.0
FLAT_SHARE = 0.05
"""Flat: in ten minutes no more than 8 MB, or a twentieth of what the process has."""
SERVERS = ("mongod", "kafka")
"""Bounded by a cache and a heap, which they may fill: said, and not judged."""
BATCH = 10
CONNECTIONS = 8
LOG = "events.log"
CACHE_GB = 0.25
"""As the local stack has it: a larger one would still be filling after ten minutes."""


def options_of(options: Options) -> Options:
    """The bench's, with the cache of the local stack."""
    return replace(options, cache_gb=CACHE_GB)


def run(ground: Ground) -> dict[str, Any]:
    """Loads the stack and looks at every process every five seconds.

    Raises `BenchError` where the stack does not keep up: then memory says nothing.
    """
    options = ground.options
    with ground.stage("soak") as stage:
        latency.whole_stack(stage, 0, options.customers)
        seconds = options.soak_minutes * 60
        arguments = ["--port", str(stage.settings.gateway_port), "--key", KEY, "--warm-up", "0"]
        arguments += ["--connections", str(CONNECTIONS), "--batch", str(BATCH)]
        arguments += ["--rate", str(options.soak_rate), "--seconds", str(seconds)]
        arguments += ["--customers", str(options.customers)]
        with children.running("bench.generator", *arguments) as process:
            said = children.words(process)
            next(said)
            times, samples = _sampled(stage.pids(*latency.SERVICES), seconds)
            done = next(said)
        behind = _behind(stage)
    if behind > options.soak_rate * 10:
        raise BenchError(f"{behind:,} events wait: {options.soak_rate:,}/s is more than it takes")
    return report(times, samples, {"events": done["events"], "seconds": done["seconds"]})


def _sampled(pids: Mapping[str, int], seconds: float) -> tuple[list[float], dict[str, list[float]]]:
    """Resident megabytes of each process, and when."""
    times: list[float] = []
    samples: dict[str, list[float]] = {name: [] for name in pids}
    began, every = time.monotonic(), min(EVERY_SECONDS, seconds / 6)
    while (now := time.monotonic() - began) < seconds:
        times.append(round(now, 1))
        for name, pid in pids.items():
            samples[name].append(round(rss_bytes(pid) / MEGABYTE, 1))
        time.sleep(every)
    return times, samples


def _behind(stage: Stage) -> int:
    """Events that the journal has, and points has not decided."""
    progress = Progress(stage)
    logged, decided = progress.last("journal"), progress.seen("points", LOG)
    return sum(max(0, number - decided.get(at, 0)) for at, number in logged.items())


def report(
    times: Sequence[float], samples: Mapping[str, Sequence[float]], load: Mapping[str, float]
) -> dict[str, Any]:
    """What the samples say of each process."""
    processes = {}
    for name, values in samples.items():
        start = int(len(values) * WARM_UP_SHARE)
        grows = slope(times[start:], values[start:]) * TEN_MINUTES
        processes[name] = {
            "rss_mb": list(values),
            "first_mb": values[0],
            "last_mb": values[-1],
            "grows_mb_in_ten_minutes": round(grows, 1),
            "flat": grows <= max(FLAT_MB, FLAT_SHARE * values[-1]),
            "judged": name not in SERVERS,
        }
    return {**load, "times": list(times), "processes": processes}


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Of the line with the least squares; 0 for fewer than two points."""
    count = len(times)
    if count < 2:
        return 0.0
    middle_time, middle_value = sum(times) / count, sum(values) / count
    spread = sum((at - middle_time) ** 2 for at in times)
    together = sum(
        (at - middle_time) * (value - middle_value) for at, value in zip(times, values, strict=True)
    )
    return together / spread


def not_flat(found: Mapping[str, Any]) -> list[str]:
    """The judged processes whose memory grew."""
    processes = found["processes"].items()
    return [name for name, each in processes if each["judged"] and not each["flat"]]
