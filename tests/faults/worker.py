"""A real worker that ends itself at a step of its loop, as its plan says.

usage: python -m tests.faults.worker SERVICE

The plan is in `FAULT_PLAN` (a file, one line for each start: `STEP PASSAGE DEED`, DEED being
`kill`, `stop` or `live`); what was done is appended to `FAULT_DONE`. `FAULT_MUTATION` names a
defect.
"""

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from shared.runtime.faults import Reached, Step
from shared.runtime.settings import Settings
from tests.faults.mutations import MUTATIONS

RUNS = {
    "journal": ("services.ingest.app", "run_journal"),
    "points": ("services.points.app", "run"),
    "customers": ("services.customers.app", "run"),
}
DEEDS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


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


def main(service: str) -> int:
    """Runs it until its deed, or for good."""
    if mutation := os.environ.get("FAULT_MUTATION"):
        MUTATIONS[mutation]()
    plan = Plan(Path(os.environ["FAULT_PLAN"]), Path(os.environ["FAULT_DONE"]))
    module, function = RUNS[service]
    run: Callable[[Settings, Reached], int] = getattr(import_module(module), function)
    return run(Settings.from_environment(), plan.reached)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
