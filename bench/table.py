"""The figures of a run as one table, and what they were measured on."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

QUIET_CORES = 0.1
"""Other programs that took more made the rates worse; CPU per event tells the truth still."""
NAMES = {
    "pipeline": "journal + points",
    "pipeline_full": "ten lines, all services, to the card",
    "journal": "journal alone",
    "points": "points alone",
    "raw_insert_many": "plain insert_many",
    "loop_per_event": "hand-written, event by event",
    "loop_bulk": "hand-written, in bulk",
    "gateway_single": "gateway, single events",
    "gateway_batch": "gateway, batches",
    "latency": "latency, whole stack",
    "history_long": "points, long history",
    "history_fresh": "points, fresh customers",
}
"""In the order in which they are shown."""
RATIO_NAMES = {
    "points_to_loop_bulk": "points / hand-written bulk loop",
    "points_to_loop_bulk_by_cpu": "the same by CPU per event, worker and mongod",
    "pipeline_to_raw": "journal + points / plain insert_many",
    "points_to_loop_per_event": "points / hand-written loop, event by event",
    "history_long_to_fresh": "CPU of points for an event of a long history / of a fresh customer",
}


def show(found: Mapping[str, Any], console: Console) -> None:
    """Prints rates, CPU per event by process, document writes, ratios, settings."""
    console.print(_table(found["stages"]))
    for key, stage in found["stages"].items():
        if "generator_cores" in stage:
            console.print(
                f"{NAMES[key]}: {stage['connections']} connections, answered in "
                f"p50 {stage['answer_p50_ms']} ms, p99 {stage['answer_p99_ms']} ms; "
                f"the load itself took {stage['generator_cores']} cores"
            )
    latency = [found["latency_p50_ms"], found["latency_p99_ms"]]
    if None not in latency:
        console.print(f"event to visible balance: p50 {latency[0]} ms, p99 {latency[1]} ms")
    for name, words in RATIO_NAMES.items():
        if name in found["ratios"]:
            console.print(f"{words}: {found['ratios'][name]:.2f}")
    settings = found["settings"]
    console.print(", ".join(f"{name} {value}" for name, value in settings.items()), style="dim")
    busy = [key for key, stage in found["stages"].items() if stage["others_cores"] > QUIET_CORES]
    if busy:
        console.print(
            f"Not quiet: other programs ran during {', '.join(busy)}; "
            "compare CPU per event, not rates.",
            style="yellow",
        )


def show_soak(found: Mapping[str, Any], console: Console) -> None:
    """Prints each process's memory: at first, at last, its growth, and what that means."""
    minutes = found["seconds"] / 60
    table = Table(box=SIMPLE, title=f"Resident megabytes over {minutes:.1f} minutes")
    table.add_column("process")
    for name in ("first", "last", "growth in 10 min", ""):
        table.add_column(name, justify="right")
    for name, each in found["processes"].items():
        verdict = ("flat" if each["flat"] else "grows") if each["judged"] else "by its settings"
        cells = (each["first_mb"], each["last_mb"], each["grows_mb_in_ten_minutes"])
        table.add_row(name, *(f"{cell:,.1f}" for cell in cells), verdict)
    console.print(table)


def _table(stages: Mapping[str, Any]) -> Table:
    table = Table(box=SIMPLE, title="CPU in µs per event; others: cores that other programs took")
    table.add_column("stage")
    for name in ("events", "seconds", "events/s", "spread", "CPU", "own", "mongod", "kafka"):
        table.add_column(name, justify="right")
    for name in ("documents", "bytes", "others"):
        table.add_column(name, justify="right")
    for key, name in NAMES.items():
        if key in stages:
            table.add_row(name, *_cells(stages[key]))
    return table


def _cells(stage: Mapping[str, Any]) -> list[str]:
    rates, processes = stage["rates"], stage["processes"]
    own = [
        f"{name} {processes[name]['cpu_microseconds_per_event']:.0f}"
        for name in processes
        if name not in ("mongod", "kafka")
    ]
    return [
        f"{stage['events']:,}",
        f"{stage['seconds']:.1f}",
        f"{sorted(rates)[(len(rates) - 1) // 2]:,}",
        f"{min(rates):,}-{max(rates):,}" if len(rates) > 1 else "",
        f"{stage['cpu_microseconds_per_event']:.0f}",
        "\n".join(own),
        f"{processes['mongod']['cpu_microseconds_per_event']:.0f}",
        f"{processes['kafka']['cpu_microseconds_per_event']:.0f}",
        f"{stage['documents_per_event']:.2f}",
        f"{stage['log_bytes_per_event']:,}",
        f"{stage['others_cores']:.2f}",
    ]
