"""Kills at random moments: which ones is settled by a seed, and each is on record with its step."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.runtime.faults import STEPS
from shared.runtime.settings import Settings
from tests.faults.audit import inexact
from tests.faults.model import Load, model_of
from tests.faults.progress import Progress
from tests.faults.recovery import HEAD, Watched
from tests.faults.report import Section, table
from tests.faults.staging import WORKERS, staged
from tests.faults.stream import Stream
from tests.faults.trace import STARTING

STREAMED_SECONDS = 300.0
CAUGHT_UP_SECONDS = 120.0


@dataclass(frozen=True)
class Volley:
    """How much is sent, how fast, and how often somebody is killed meanwhile."""

    events: int
    per_second: int
    kills: int
    customers: int
    seed: int = 4

    def shots(self) -> Iterator[tuple[str, int]]:
        """Whom, and after how many events: everybody equally often."""
        chance = random.Random(self.seed)
        rounds = -(-self.kills // len(WORKERS))
        victims = [name for _ in range(rounds) for name in chance.sample(WORKERS, len(WORKERS))]
        moments = sorted(chance.randrange(self.events) for _ in range(self.kills))
        return zip(victims, moments, strict=False)


def random_kills(settings: Settings, folder: Path, volley: Volley) -> Section:
    """Streams the events, kills, lets everything settle, compares."""
    load = Load(customers=volley.customers, events=volley.events - volley.customers)
    steps: Counter[tuple[str, str]] = Counter()
    with staged(settings, folder) as stack, Progress(settings) as progress:
        watched = {name: Watched(stack.processes[name], settings.partitions) for name in WORKERS}
        began = time.monotonic()
        with Stream(settings, iter(load), volley.per_second) as stream:
            for name, moment in volley.shots():
                stream.reach(moment, STREAMED_SECONDS)
                steps[name, watched[name].kill().step] += 1
            stream.finish(STREAMED_SECONDS)
        streamed = time.monotonic() - began
        settled = progress.caught_up(CAUGHT_UP_SECONDS)
        whole = time.monotonic() - began
        recoveries = table(
            ["from start to", *HEAD],
            [[name, *one.recoveries().cells()] for name, one in watched.items()],
        )
    model = model_of(settings)
    return Section(
        title=f"{volley.kills} kills at random moments",
        did=f"SIGKILL at random moments (seed {volley.seed}) in journal, customers, points and "
        f"cards, while {stream.sent:,} events of {volley.customers:,} customers stream; each "
        "process is started again at once.",
        facts={
            "events": f"{stream.sent:,}, of them {stream.sent - len(model.outcomes):,} repeats",
            "time": f"sent in {streamed:.0f} s, all settled after {whole:.0f} s",
        },
        tables=[hits(steps), recoveries],
        differences=[
            *([] if settled else ["the services did not catch up"]),
            *inexact(settings, model),
        ],
    )


def hits(steps: Mapping[tuple[str, str], int]) -> str:
    """How often whom, and after which step of the loop it was killed."""
    seen = [step for step in (STARTING, *STEPS) if any(at == step for _, at in steps)]
    rows = [
        [name, sum(n for (who, _), n in steps.items() if who == name)]
        + [steps.get((name, step), 0) for step in seen]
        for name in WORKERS
    ]
    return table(["killed", "times", *seen], rows)
