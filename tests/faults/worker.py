"""A real service that ends itself, stops or waits at a step of its loop, as it is told.

usage: python -m tests.faults.worker SERVICE

The plan is in `FAULT_PLAN` (a file, one line for each start: `STEP PASSAGE DEED`, DEED being
`kill`, `stop` or `live`); what was done is appended to `FAULT_DONE`. While the file `FAULT_HOLD`
is there, it waits with a committed batch before it announces it, and says so by the file with
`.held` added. `FAULT_TRACE` is where the trace is kept. `FAULT_MUTATION` names a defect.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from shared.runtime.faults import Reached, Step
from shared.runtime.settings import Settings
from tests.faults.trace import Tracing

RUNS = {
    "journal": ("services.ingest.app", "run_journal"),
    "points": ("services.points.app", "run"),
    "customers": ("services.customers.app", "run"),
    "cards": ("services.query.app", "run_cards"),
}
GATEWAY = ("services.ingest.app", "run_gateway")
DEEDS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
HELD_SECONDS_MAX = 60.0


class Plan:
    """What this start of the process is to do to itself."""

    def __init__(self, plan: Path, done: Path) -> None:
        self._done = done
        started = len(done.read_text().splitlines()) if done.exists() else 0
        lines = plan.read_text().splitlines()
        self._step, passage, self._deed = (
            lines[started].split() if started < len(lines) else ("", "0", "live")
        )
        self._left = int(passage)

    def reached(self, step: Step) -> None:
        """Counts the passages of the planned step, then acts. The deed is on record first."""
        if step != self._step or self._deed == "live":
            return
        self._left -= 1
        if self._left == 0:
            with self._done.open("a") as file:
                file.write(f"{step} {self._deed}\n")
                file.flush()
                os.fsync(file.fileno())
            os.kill(os.getpid(), DEEDS[self._deed])


def hold(step: Step, wanted: Path) -> None:
    """Waits between commit and announcement while the file is there."""
    if step != "before_produce" or not wanted.exists():
        return
    wanted.with_suffix(".held").touch()
    deadline = time.monotonic() + HELD_SECONDS_MAX
    while wanted.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def main(service: str) -> int:
    """Runs it until its deed, or for good."""
    if mutation := os.environ.get("FAULT_MUTATION"):
        from tests.faults.mutations import MUTATIONS, OF_THE_GATEWAY

        (MUTATIONS | OF_THE_GATEWAY)[mutation]()
    settings = Settings.from_environment()
    if service == "gateway":
        serve: Callable[[Settings], int] = _function(*GATEWAY)
        return serve(settings)
    plan = Plan(Path(os.environ["FAULT_PLAN"]), Path(os.environ["FAULT_DONE"]))
    tracing = Tracing(Path(os.environ["FAULT_TRACE"]))
    wanted = Path(os.environ["FAULT_HOLD"])

    def reached(step: Step) -> None:
        tracing.reached(step)
        hold(step, wanted)
        plan.reached(step)

    run: Callable[[Settings, Reached], int] = _function(*RUNS[service])
    return run(settings, reached)


def _function(module: str, name: str) -> Callable[..., int]:
    function: Callable[..., int] = getattr(import_module(module), name)
    return function


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
