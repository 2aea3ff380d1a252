"""A rebalance storm: workers come and go under load, and partitions move with them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.runtime.settings import Settings
from tests.faults.audit import inexact
from tests.faults.model import Load, model_of
from tests.faults.progress import Progress
from tests.faults.report import Section, table
from tests.faults.staging import add_worker, events, moments, staged, wait
from tests.faults.stream import Stream
from tests.running import Process, Stack

EVENTS_MAX = 1_000_000
CUSTOMERS = 500
SHARED_SECONDS = 60.0
CAUGHT_UP_SECONDS = 120.0


@dataclass(frozen=True)
class Storm:
    """Of which services there are how many workers, one number after the other; each for so long
    once the group has settled on it."""

    services: Sequence[str]
    sizes: Sequence[int] = (1, 3, 2, 3)
    per_second: int = 600
    steady_seconds: float = 5.0


@dataclass
class Phase:
    """A number of workers: how long until all had a share, and what was decided meanwhile."""

    size: int
    settled_seconds: float
    seconds: float
    decided: int

    @property
    def rate(self) -> float:
        return self.decided / self.seconds


def storm(settings: Settings, folder: Path, wanted: Storm) -> Section:
    """Streams at a steady pace through every change, lets everything settle, compares."""
    trouble: list[str] = []
    load = Load(CUSTOMERS, EVENTS_MAX)
    with staged(settings, folder) as stack, Progress(settings) as progress:
        with Stream(settings, iter(load), wanted.per_second) as stream:
            phases = [_phase(stack, progress, wanted, size, trouble) for size in wanted.sizes]
        sent = stream.sent
        if not progress.caught_up(CAUGHT_UP_SECONDS):
            trouble.append("the services did not catch up")
        moves = {
            process.name: events(process)["partition_taken"]
            for process in stack.processes.values()
            if process.name.partition("-")[0] in wanted.services
        }
        again = [f"{p.name} {p.starts - 1}" for p in stack.processes.values() if p.starts > 1]
    sizes = " → ".join(map(str, wanted.sizes))
    return Section(
        title=f"Rebalance storm: {' and '.join(wanted.services)} with {sizes} workers",
        did=f"{wanted.per_second} events a second stream while workers of "
        f"{' and '.join(wanted.services)} are started and stopped (SIGTERM).",
        facts={
            "events": f"{sent:,}",
            "partitions taken over": ", ".join(f"{name} {n}" for name, n in moves.items()),
            "started again, by the supervisor or the storm": ", ".join(again) or "nobody",
        },
        tables=[
            table(
                ["workers", "all have a share after", "decided a second meanwhile"],
                [[one.size, f"{one.settled_seconds:.1f} s", f"{one.rate:.0f}"] for one in phases],
            )
        ],
        differences=[*trouble, *inexact(settings, model_of(settings))],
    )


def _phase(stack: Stack, progress: Progress, wanted: Storm, size: int, trouble: list[str]) -> Phase:
    began, before = time.monotonic(), progress.done("points")
    for service in wanted.services:
        _resize(stack, service, size)
    names = {str(number) for number in range(size)}

    def shared() -> bool:
        return all(set(progress.owners(service)) == names for service in wanted.services)

    if not wait(shared, SHARED_SECONDS):
        found = {service: dict(progress.owners(service)) for service in wanted.services}
        trouble.append(f"not every one of {size} workers got a share: {found}")
    settled = time.monotonic() - began
    for _ in moments(wanted.steady_seconds):
        pass
    return Phase(size, settled, time.monotonic() - began, progress.done("points") - before)


def _resize(stack: Stack, service: str, size: int) -> None:
    """Workers `0` to `size - 1` run; the others have ended in order."""
    running = [_worker(stack, service, number) for number in range(size)]
    for process in running:
        if not process.kept or process.popen is None:
            process.start()
            process.kept = True
    for process in stack.processes.values():
        ours = process.name == service or process.name.startswith(f"{service}-")
        if ours and process not in running and process.kept:
            process.kept = False
            process.stop()


def _worker(stack: Stack, service: str, number: int) -> Process:
    name = service if number == 0 else f"{service}-{number}"
    return stack.processes.get(name) or add_worker(stack, service, str(number))
