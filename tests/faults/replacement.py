"""A worker dies and stays dead: the one beside it takes its partitions."""

import time
from pathlib import Path

from shared.runtime.settings import Settings
from tests.faults.audit import inexact
from tests.faults.model import Load, model_of
from tests.faults.progress import Progress
from tests.faults.recovery import taken_at
from tests.faults.report import Section, table
from tests.faults.staging import WORKERS, add_worker, moments, staged, wait
from tests.faults.stream import Stream

PER_SECOND = 300
SHARED_SECONDS = 60.0
REPLACED_SECONDS = 60.0
AFTERWARDS_SECONDS = 2.0
CAUGHT_UP_SECONDS = 120.0
EVENTS_MAX = 1_000_000


def replacement(settings: Settings, folder: Path) -> Section:
    """Two of each, both with a share; one of each is killed for good under load."""
    trouble: list[str] = []
    load = Load(300, EVENTS_MAX)
    with staged(settings, folder) as stack, Progress(settings) as progress:
        heirs = {name: add_worker(stack, name, "1") for name in WORKERS}
        for heir in heirs.values():
            heir.start()

        def owned_by(*workers: str) -> bool:
            return all(set(progress.owners(name)) == set(workers) for name in WORKERS)

        if not wait(lambda: owned_by("0", "1"), SHARED_SECONDS):
            trouble.append("two workers of each did not share the partitions")
        with Stream(settings, iter(load), PER_SECOND) as stream:
            for _ in moments(AFTERWARDS_SECONDS):
                pass
            died = {}
            for name in WORKERS:
                process = stack.processes[name]
                process.kept = False
                died[name] = time.time()
                process.kill()
            if not wait(lambda: owned_by("1"), REPLACED_SECONDS):
                owners = {name: dict(progress.owners(name)) for name in WORKERS}
                trouble.append(f"somebody was not replaced: {owners}")
            for _ in moments(AFTERWARDS_SECONDS):
                pass
        replaced = {name: max(taken_at(heir)) - died[name] for name, heir in heirs.items()}
        if not progress.caught_up(CAUGHT_UP_SECONDS):
            trouble.append("the services did not catch up")
    return Section(
        title="One of each stays dead",
        did="Two workers of each service share the partitions; one of each is killed at the same "
        "moment under load and never started again.",
        facts={"events": f"{stream.sent:,}"},
        tables=[
            table(
                ["dead", "the other had all partitions after"],
                [[name, f"{took:.1f} s"] for name, took in replaced.items()],
            )
        ],
        differences=[*trouble, *inexact(settings, model_of(settings))],
    )
