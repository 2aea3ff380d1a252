"""Programs of the bench that run beside it, so that their CPU time can be told from Laurel's."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from bench.problems import BenchError
from deploy.local.servers import ROOT

END_SECONDS = 30.0

Child = subprocess.Popen[bytes]


@contextmanager
def running(*module: str) -> Iterator[Child]:
    """`python -m` that, in our environment; it ends when its input does."""
    command = [sys.executable, "-m", *module]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def words(process: Child) -> Iterator[Mapping[str, Any]]:
    """What it says, line by line. Raises `BenchError` where it ends without a word."""
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)
    raise BenchError(f"{_name(process.args)} ended before it was done; its error is above")


def say(what: Mapping[str, object]) -> None:
    """The child's side: one line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def wait_for_end() -> None:
    """The child's side: whoever measures reads our CPU time first."""
    sys.stdin.read()


def _name(command: object) -> str:
    return str(command[2]) if isinstance(command, Sequence) and len(command) > 2 else str(command)
