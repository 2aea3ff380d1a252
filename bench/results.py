"""What a run found: every figure by its key, with what it was measured on, as JSON."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import confluent_kafka
import pymongo
from pymongo import MongoClient

from bench import wrk
from bench.ground import Ground
from bench.options import Options
from bench.usage import CORES, Measured
from deploy.local import jars
from deploy.local.servers import ROOT
from shared.runtime.ports import Document

OUT = ROOT / "bench" / "out"
PIPELINE = OUT / "pipeline.json"
SOAK = OUT / "soak.json"
RATES = (
    "pipeline",
    "pipeline_full",
    "journal",
    "points",
    "raw_insert_many",
    "loop_per_event",
    "loop_bulk",
    "gateway_single",
    "gateway_batch",
)
"""Events per second."""
LATENCIES = ("latency_p50_ms", "latency_p99_ms")
RATIOS = {
    "points_to_loop_bulk": ("points", "loop_bulk"),
    "pipeline_to_raw": ("pipeline", "raw_insert_many"),
    "points_to_loop_per_event": ("points", "loop_per_event"),
}

Runs = Mapping[str, Sequence[Measured]]
"""Of each stage that was measured, its repetitions."""


def result(runs: Runs, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The figures: medians of the repetitions, `null` where nothing was measured."""
    figures: dict[str, Any] = {
        key: round(middle(runs[key]).rate) if key in runs else None for key in RATES
    }
    latency = middle(runs["latency"]).more if "latency" in runs else {}
    figures |= {key: latency.get(key) for key in LATENCIES}
    figures["ratios"] = ratios(runs)
    figures["settings"] = dict(settings)
    figures["stages"] = {key: _stage(measured) for key, measured in runs.items()}
    return figures


def middle(measured: Sequence[Measured]) -> Measured:
    """The repetition with the median rate (of an even number the slower of the two)."""
    return sorted(measured, key=lambda each: each.rate)[(len(measured) - 1) // 2]


def ratios(runs: Runs) -> dict[str, float]:
    """Of the same run, where both sides were measured; and the cost of a long history."""
    found = {
        name: round(middle(runs[above]).rate / middle(runs[below]).rate, 3)
        for name, (above, below) in RATIOS.items()
        if above in runs and below in runs
    }
    if "points" in runs and "loop_bulk" in runs:
        spent = [
            _work(runs[key], own) for key, own in (("loop_bulk", "loop"), ("points", "points"))
        ]
        found["points_to_loop_bulk_by_cpu"] = round(spent[0] / spent[1], 3)
    old, fresh = runs.get("history_long"), runs.get("history_fresh")
    if old and fresh:
        cost = [_points_cost(measured) for measured in (old, fresh)]
        found["history_long_to_fresh"] = round(cost[0] / cost[1], 3)
    return found


def _work(measured: Sequence[Measured], own: str) -> float:
    """CPU of the worker and of mongod for an event: Kafka's goes on while the machine is busy."""
    return statistics.median(
        each.cpu_microseconds(own) + each.cpu_microseconds("mongod") for each in measured
    )


def _points_cost(measured: Sequence[Measured]) -> float:
    return statistics.median(each.cpu_microseconds("points") for each in measured)


def _stage(measured: Sequence[Measured]) -> dict[str, Any]:
    """CPU and memory of the median repetition; the rates of all."""
    one = middle(measured)
    return {
        "events": one.events,
        "seconds": round(one.seconds, 3),
        "rates": [round(each.rate) for each in measured],
        "cpu_microseconds_per_event": round(one.cpu_microseconds(), 1),
        "processes": {
            name: {
                "cpu_seconds": round(usage.cpu_seconds, 2),
                "cpu_microseconds_per_event": round(one.cpu_microseconds(name), 1),
                "rss_start_mb": round(usage.rss_start_mb),
                "rss_end_mb": round(usage.rss_end_mb),
            }
            for name, usage in one.processes.items()
        },
        "documents": dict(one.documents),
        "documents_per_event": round(one.documents_per_event, 3),
        "log_bytes_per_event": round(one.log_bytes / one.events),
        "others_cores": round(one.others_cores, 2),
        **one.more,
    }


def settings_of(ground: Ground) -> dict[str, Any]:
    """What the figures depend on."""
    options: Options = ground.options
    with MongoClient[Document](ground.servers.mongo_url) as mongo:
        mongod = str(mongo.server_info()["version"])
    return {
        "mongod_cache_gb": options.cache_gb,
        "partitions": options.partitions,
        "events": options.events,
        "full_events": options.full_events,
        "customers": options.customers,
        "repeat": options.repeat,
        "quick": options.quick,
        "cpu_count": CORES,
        "cpu": _processor(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kafka": jars.KAFKA,
        "mongod": mongod,
        "python": platform.python_version(),
        "librdkafka": confluent_kafka.libversion()[0],
        "confluent_kafka": confluent_kafka.version(),
        "pymongo": pymongo.version,
        "load_tool": "wrk" if wrk.found() else "bench.generator",
        "commit": commit(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def commit() -> str:
    """What is measured, with `+` where the code differs from it; empty outside a clone."""
    head = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "services", "shared", "bench")
    return f"{head}+" if changed else head


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    return done.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def read(path: Path) -> dict[str, Any] | None:
    """What an earlier run wrote; None where none did."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def write(found: Mapping[str, Any], path: Path) -> None:
    """As indented JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
