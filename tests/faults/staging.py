"""The stage of every scenario: a program, workers that can be told what to do to themselves."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from shared.runtime.settings import Settings
from tests.faults.trace import Trace, trace_of
from tests.integration.clients import set_program_up
from tests.running import Process, Stack, stack_of

WORKERS = ("journal", "customers", "points", "cards")
POLL_SECONDS = 0.05
HELD_SECONDS = 20.0


def set_program(stack: Stack) -> None:
    """One account that earns; the program service itself is not needed after that."""
    stack.add("program")
    stack.start("program")
    set_program_up(stack)
    stack.processes.pop("program").stop()


@contextmanager
def staged(settings: Settings, folder: Path) -> Iterator[Stack]:
    """One of each worker, ready, started again whenever it ends."""
    with stack_of(settings, folder) as stack:
        set_program(stack)
        for name in WORKERS:
            add_worker(stack, name)
        stack.start()
        stack.keep_alive()
        yield stack


def add_worker(
    stack: Stack, name: str, worker: str = "0", plan: Sequence[str] = (), mutation: str = ""
) -> Process:
    """A worker (or the gateway) under `tests.faults.worker`, not yet started."""
    place = stack.folder / f"{name}-{worker}"
    place.with_suffix(".plan").write_text("\n".join(plan))
    return stack.add(
        name,
        worker,
        command=(sys.executable, "-m", "tests.faults.worker", name),
        variables={
            "FAULT_PLAN": str(place.with_suffix(".plan")),
            "FAULT_DONE": str(place.with_suffix(".done")),
            "FAULT_TRACE": str(place.with_suffix(".trace")),
            "FAULT_HOLD": str(place.with_suffix(".hold")),
            "FAULT_MUTATION": mutation,
        },
    )


def deeds(process: Process) -> list[tuple[str, str]]:
    """What its plan has done so far: `(step, deed)`."""
    done = Path(process.variables["FAULT_DONE"])
    lines = done.read_text().splitlines() if done.exists() else []
    return [(step, deed) for step, deed in (line.split() for line in lines)]


def events(process: Process) -> Counter[str]:
    """How often its log says what, over all its starts."""
    lines = process.log.read_text(encoding="utf-8").splitlines()
    return Counter(json.loads(line).get("event", "") for line in lines if line.startswith("{"))


def trace(process: Process, pid: int) -> Trace:
    """Of that run of it, as long as no later one has begun to write its own."""
    return trace_of(Path(process.variables["FAULT_TRACE"]), pid)


@contextmanager
def held(stack: Stack, *names: str) -> Iterator[bool]:
    """Within it these workers, one after the other, wait between a commit and its announcement;
    whether all came to it."""
    files = [Path(stack.processes[name].variables["FAULT_HOLD"]) for name in names]
    try:
        yield all(_holds(file) for file in files)
    finally:
        for file in files:
            file.unlink(missing_ok=True)
            file.with_suffix(".held").unlink(missing_ok=True)


def _holds(file: Path) -> bool:
    file.touch()
    return wait(file.with_suffix(".held").exists, HELD_SECONDS)


def wait(until: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def moments(seconds: float) -> Iterator[float]:
    """Lets time pass, moment by moment: what is left of it, in seconds."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        yield left
        time.sleep(min(left, POLL_SECONDS))
