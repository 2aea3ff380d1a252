"""What a killed process leaves behind: the step it was at, and when it first committed."""

import mmap
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from shared.runtime.faults import STEPS, Step

_LAYOUT = struct.Struct("<iid")
STARTING = "starting"
"""Where a process is that has not come to any step of the loop yet."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Of one run of a process; `committed_at` by the machine's clock, 0: not yet."""

    pid: int = 0
    step: str = STARTING
    committed_at: float = 0.0


class Tracing:
    """Writes the trace of this process. A mapped file: SIGKILL does not undo what is in it."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(_LAYOUT.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _LAYOUT.size)
        self._committed_at = 0.0
        self._write(-1)

    def reached(self, step: Step) -> None:
        """Notes the step, and the time of the first commit."""
        if step == "after_commit" and not self._committed_at:
            self._committed_at = time.time()
        self._write(STEPS.index(step))

    def _write(self, step: int) -> None:
        _LAYOUT.pack_into(self._map, 0, os.getpid(), step, self._committed_at)


def trace_of(path: Path, pid: int) -> Trace:
    """The trace of that process; of one that had not begun to write: an empty one."""
    written = path.read_bytes() if path.exists() else b""
    if len(written) != _LAYOUT.size:
        return Trace(pid)
    by, step, committed_at = _LAYOUT.unpack(written)
    if by != pid:
        return Trace(pid)
    return Trace(pid, STEPS[step] if step >= 0 else STARTING, committed_at)
