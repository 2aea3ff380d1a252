"""A profile of one process while it is measured, by py-spy."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.problems import BenchError

SAMPLES_PER_SECOND = 200
END_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Profiler:
    """Writes a flame graph of the process `service` into `folder`; of none: does nothing."""

    service: str = ""
    folder: Path = Path()

    @contextmanager
    def of(self, pids: Mapping[str, int]) -> Iterator[None]:
        """Samples while open, where the service is among the processes."""
        if self.service not in pids:
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"{self.service}.svg"
        command = [*_py_spy(), "record", "--pid", str(pids[self.service]), "--output", str(target)]
        options = ["--rate", str(SAMPLES_PER_SECOND), "--duration", "unlimited", "--nonblocking"]
        with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL) as sampling:
            yield
            sampling.send_signal(2)  # it writes the graph when it is interrupted
            sampling.wait(END_SECONDS)
        print(f"profile: {target}")


def _py_spy() -> list[str]:
    """From the PATH, else fetched for this one use by uv. Raises `BenchError`."""
    if found := shutil.which("py-spy"):
        return [found]
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        raise BenchError("py-spy is not on the PATH, and there is no uv to fetch it with")
    return [str(uv), "tool", "run", "py-spy"]
