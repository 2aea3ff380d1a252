"""How long a process took to serve again: from its start to partitions and to its first commit."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from math import inf

from tests.faults.report import seconds
from tests.faults.staging import trace
from tests.faults.trace import Trace
from tests.running import Process


def taken_at(process: Process) -> Iterator[float]:
    """When it took a partition over, by its log: each time, all its starts."""
    for line in process.log.read_text(encoding="utf-8").splitlines():
        if '"partition_taken"' in line:
            yield datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()


@dataclass
class Recoveries:
    """Of all starts after the first, in seconds from the start of the process."""

    taken: list[float] = field(default_factory=list)
    """Until all its partitions were its own again."""
    committed: list[float] = field(default_factory=list)
    """Until it had committed a batch: somebody had sent one."""

    def cells(self) -> Sequence[str]:
        """For a table: `HEAD`."""
        return seconds(self.taken), seconds(self.committed)


HEAD = ("partitions taken", "first commit")


@dataclass
class Watched:
    """A process that is killed again and again, and when each run of it first committed."""

    process: Process
    partitions: int
    committed_at: dict[int, float] = field(default_factory=dict)

    def kill(self) -> Trace:
        """SIGKILL; where it was."""
        run, pid = self.process.starts - 1, self.process.running.pid
        self.process.kill()
        return self._note(run, pid)

    def recoveries(self) -> Recoveries:
        """Of what has happened so far."""
        self._note(self.process.starts - 1, self.process.running.pid)
        found = Recoveries()
        moments = sorted(taken_at(self.process))
        for run, (start, end) in enumerate(pairwise([*self.process.started_at, inf])):
            taken = [moment for moment in moments if start <= moment < end]
            if run and taken:
                found.taken.append(taken[: self.partitions][-1] - start)
            if run and (committed := self.committed_at.get(run)):
                found.committed.append(committed - start)
        return found

    def _note(self, run: int, pid: int) -> Trace:
        left = trace(self.process, pid)
        self.committed_at[run] = left.committed_at
        return left
