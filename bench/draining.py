"""Stages that drain a topic which was filled before: journal, points, both, and with cards."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.events import Filled, checkouts, customer_names, fill, opt_ins
from bench.ground import Ground, Stage, set_up_program
from bench.problems import BenchError
from bench.profiling import Profiler
from bench.progress import Progress
from bench.usage import Measured

INBOX, LOG, FACTS = "events.inbox", "events.log", "points.facts"
WORKERS_OF_FULL = ("customers", "points", "cards")


@dataclass(slots=True)
class Prepared:
    """A namespace whose customers have opted in, whose inbox is full, and in which nothing runs."""

    stage: Stage
    progress: Progress
    filled: Filled
    messages: int
    """On the inbox, the enrolments among them."""


@contextmanager
def prepared(ground: Ground, name: str, workers: Sequence[str], lines: int) -> Iterator[Prepared]:
    """Enrols every customer through `workers`, stops them, and fills the inbox with checkouts."""
    options = ground.options
    customers = customer_names(options.customers)
    events = options.events if lines == 2 else options.full_events
    with ground.stage(name) as stage:
        progress = Progress(stage)
        stage.start("program", *workers)
        set_up_program(stage)
        enrolled = fill(stage.settings, opt_ins(customers))
        wait_for(stage, progress, workers, enrolled.events)
        stage.stop()
        filled = fill(stage.settings, checkouts(events, customers, lines))
        yield Prepared(stage, progress, filled, enrolled.events + filled.events)


def journal(ready: Prepared, profiler: Profiler) -> Measured:
    """The journal alone, from its first partition to the last event stored."""
    with _begun(ready, "journal", ("journal",), profiler) as clock:
        wait_for(ready.stage, ready.progress, ("journal",), ready.messages)
        return clock.stop(ready.filled.events)


def points(ready: Prepared, profiler: Profiler) -> Measured:
    """Points alone, over the log that the journal has made."""
    with _begun(ready, "points", ("points",), profiler) as clock:
        wait_for(ready.stage, ready.progress, ("points",), ready.messages)
        measured = clock.stop(ready.filled.events)
    _check(ready)
    return measured


def pipeline(ground: Ground, profiler: Profiler) -> Measured:
    """Journal and points at once: from the journal's first partition to the last event decided."""
    workers = ("journal", "points")
    with prepared(ground, "pipeline", workers, lines=2) as ready:
        ready.stage.start("points")
        with _begun(ready, "journal", workers, profiler) as clock:
            wait_for(ready.stage, ready.progress, workers, ready.messages)
            measured = clock.stop(ready.filled.events)
        _check(ready)
    return measured


def pipeline_full(ground: Ground, profiler: Profiler) -> Measured:
    """Ten-line checkouts through everything but HTTP, until the last card shows its balance."""
    workers = ("journal", *WORKERS_OF_FULL)
    with prepared(ground, "full", workers, lines=10) as ready:
        ready.stage.start(*WORKERS_OF_FULL)
        with _begun(ready, "journal", workers, profiler) as clock:
            wait_for(ready.stage, ready.progress, workers, ready.messages)
            measured = clock.stop(ready.filled.events)
        _check(ready)
    return measured


class _Clock:
    """Runs from the moment a worker takes its first partition, before it reads any event."""

    def __init__(self, ready: Prepared, workers: Sequence[str]) -> None:
        self._watch = ready.stage.watch(*workers)
        self._began = time.perf_counter()
        self._watch.begin()

    def stop(self, events: int) -> Measured:
        return self._watch.end(events, time.perf_counter() - self._began)


@contextmanager
def _begun(
    ready: Prepared, first: str, workers: Sequence[str], profiler: Profiler
) -> Iterator[_Clock]:
    """Starts `first`, the others run already; all are stopped at the end."""
    stage, progress = ready.stage, ready.progress
    before = progress.epochs(first)
    stage.settle()
    stage.start(first, wait=False)
    stage.wait(f"{first} takes its partitions", lambda: progress.epochs(first) > before)
    clock = _Clock(ready, workers)
    with profiler.of(stage.pids(*workers)):
        yield clock
    stage.stop(*workers)


def wait_for(stage: Stage, progress: Progress, workers: Sequence[str], messages: int) -> None:
    """Until all workers have taken `messages` of the inbox, or what the journal made of them.

    What one has announced last is read once the one before it is done: ticks come each minute.
    """
    if "journal" in workers:
        done = "the journal takes the inbox"
        stage.wait(done, lambda: progress.taken("journal", INBOX) >= messages)
    logged = progress.last("journal")
    for worker in ("points", "customers"):
        if worker in workers:
            _wait_seen(stage, progress, worker, LOG, logged)
    if "cards" in workers:
        _wait_seen(stage, progress, "cards", FACTS, progress.last("points"))


def _wait_seen(
    stage: Stage, progress: Progress, worker: str, topic: str, numbers: dict[int, int]
) -> None:
    stage.wait(f"{worker} takes {topic}", lambda: progress.has_seen(worker, topic, numbers))


def _check(ready: Prepared) -> None:
    """A fast wrong sum is no figure."""
    given, wanted = ready.progress.points_given(), ready.filled.points
    if given != wanted:
        raise BenchError(f"customers have {given:,} points, and the checkouts earned {wanted:,}")
