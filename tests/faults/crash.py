"""The crash test: services kill themselves at every step under load; one freezes and wakes."""

import itertools
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from shared.runtime.faults import STEPS, Step
from shared.runtime.settings import Settings
from tests.faults.audit import inexact
from tests.faults.checks import differences
from tests.faults.model import Load, model_of
from tests.faults.progress import Progress
from tests.faults.recovery import Watched
from tests.faults.report import Section, seconds, table
from tests.faults.staging import WORKERS, add_worker, deeds, events, set_program, wait
from tests.faults.stream import Stream
from tests.running import Process, Stack, stack_of

EVENTS_PER_SECOND = 300
TAKEN_OVER_SECONDS = 90.0
FROZEN_SECONDS = 60.0
SETTLED_SECONDS = 120.0
LOAD_EVENTS = 1_000_000
"""As many as it takes: the load ends when every step has had its kill."""

DID = (
    "Each service kills itself at each step of its loop while events stream, 5 % of them repeats, "
    "and is started again at once. Then points freezes (SIGSTOP) with a decided batch in hand "
    "until another worker has its partitions, and wakes up."
)


@dataclass(frozen=True)
class Ordeal:
    """What the services go through: a kill at each of these steps, then perhaps the freezing.
    `events` are sent at least; the other limits are for what a defect may prevent for ever."""

    steps: tuple[Step, ...] = STEPS
    frozen: bool = True
    events: int = 2_000
    kills_seconds: float = 120.0
    refused_seconds: float = 15.0
    evidence: str = ""
    """Words of the difference that shows a defect and that no waiting mends: found, it is over.
    None: the services are to settle and be exact."""


WHOLE = Ordeal()


@dataclass
class Crashes:
    """What was done, and every difference found."""

    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    sent: int = 0
    frozen: dict[str, object] = field(default_factory=dict)
    recoveries: list[list[str]] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def never_hit(self) -> list[tuple[str, str]]:
        """Steps of the loop at which no service was killed."""
        return [at for at in itertools.product(WORKERS, STEPS) if not self.hits[at]]

    def section(self, title: str, did: str = DID) -> Section:
        """For the report."""
        rows = [[name, *(self.hits[name, step] for step in STEPS)] for name in WORKERS]
        return Section(
            title=title,
            did=did,
            facts={"events": f"{self.sent:,}", **self.frozen},
            tables=[
                table(["hits", *STEPS], rows),
                table(["started again", "until it had its partitions"], self.recoveries),
            ],
            differences=self.differences,
        )


def crash_test(
    settings: Settings, folder: Path, ordeal: Ordeal = WHOLE, mutation: str = ""
) -> Crashes:
    """Runs it on fresh topics and databases. `mutation` names a defect that must be found."""
    crashes = Crashes()
    with stack_of(settings, folder) as stack, Progress(settings) as progress:
        set_program(stack)
        watched = []
        for name in WORKERS:
            plan = _plan(ordeal, frozen=ordeal.frozen and name == "points")
            process = add_worker(stack, name, plan=plan, mutation=mutation)
            watched.append(Watched(process, settings.partitions))
            process.start()
        stack.keep_alive()
        load = Load(customers=200, events=LOAD_EVENTS)
        with Stream(settings, iter(load), EVENTS_PER_SECOND) as stream:
            wait(lambda: _over(stack, crashes, ordeal, stream.sent), ordeal.kills_seconds)
            if ordeal.frozen:
                _freeze_and_thaw(stack, progress, crashes, ordeal, mutation)
        crashes.sent = stream.sent
        if not ordeal.evidence:
            if not progress.caught_up(SETTLED_SECONDS):
                crashes.differences.append("the services did not catch up with the log")
            crashes.differences += inexact(settings, model_of(settings))
        for one in watched:
            crashes.recoveries.append([one.process.name, seconds(one.recoveries().taken)])
            for step, _ in deeds(one.process):
                crashes.hits[one.process.name, step] += 1
    return crashes


def _over(stack: Stack, crashes: Crashes, ordeal: Ordeal, sent: int) -> bool:
    """Whether enough is sent and every step had its kill; of a defect: whether it shows."""
    if ordeal.evidence and not ordeal.frozen:
        found = differences(stack.settings, model_of(stack.settings))
        crashes.differences = [one for one in found if ordeal.evidence in one]
        return bool(crashes.differences)
    return sent >= ordeal.events and all(
        len(deeds(stack.processes[name])) >= len(ordeal.steps) for name in WORKERS
    )


def _plan(ordeal: Ordeal, *, frozen: bool) -> list[str]:
    """One kill at each step, at its first to third passage; then the freezing."""
    kills = [f"{step} {1 + index % 3} kill" for index, step in enumerate(ordeal.steps)]
    return [*kills, "after_decide 5 stop"] if frozen else kills


def _freeze_and_thaw(
    stack: Stack, progress: Progress, crashes: Crashes, ordeal: Ordeal, mutation: str
) -> None:
    """The worker that stopped itself with a decided batch wakes up after another took over.

    The heir stops itself, too, before it has committed anything: so of what the frozen worker's
    commit asks for, batch and epoch, only the epoch has changed, and it alone can refuse it.
    """
    frozen = stack.processes["points"]
    if not wait(lambda: _stopped(frozen), FROZEN_SECONDS):
        crashes.differences.append("points never came to the point of being frozen")
        return
    before = progress.places("points")
    heir = add_worker(stack, "points", "heir", ["after_decide 1 stop"], mutation)
    heir.start()
    if not wait(lambda: _stopped(heir), TAKEN_OVER_SECONDS):
        crashes.differences.append("nobody took the frozen worker's partitions over")
        return
    taken = progress.places("points")
    frozen.running.send_signal(signal.SIGCONT)
    refused = wait(lambda: "fenced" in events(frozen), ordeal.refused_seconds)
    after = progress.places("points")
    heir.running.send_signal(signal.SIGCONT)
    crashes.frozen["frozen, taken over, woken"] = _told(before, taken, after)
    if not refused or after != taken:
        crashes.differences.append("the frozen worker's batch was not refused by the epoch")


def _stopped(process: Process) -> bool:
    return deeds(process)[-1:] == [("after_decide", "stop")]


Places = dict[int, tuple[int, int]]


def _told(before: Places, taken: Places, after: Places) -> str:
    """What the cursors say of one partition that the frozen worker had in hand."""
    partition = min(p for p in taken if taken[p] != before.get(p))
    (epoch, batch), has, now = before[partition], taken[partition], after[partition]
    end = (
        "its commit was refused by the epoch alone (`fenced`), nothing has moved"
        if now == has
        else f"its commit was taken: batch {now[1]}"
    )
    return (
        f"partition {partition} stood at epoch {epoch}, batch {batch}; the heir had raised it to "
        f"epoch {has[0]}, batch {has[1]}, when the first woke up; {end}"
    )
