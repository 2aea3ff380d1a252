"""The stack's logs as one stream: the end of each, and then what is added."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from deploy.local.servers import tail

POLL_SECONDS = 0.2


def last_lines(logs: dict[str, Path], lines: int) -> Iterator[tuple[str, str]]:
    """The last `lines` of each log, with the program's name."""
    for name, path in logs.items():
        if path.exists() and path.stat().st_size:
            for line in tail(path, lines).splitlines():
                yield name, line


def follow(logs: dict[str, Path]) -> Iterator[tuple[str, str]]:
    """What is added to any of the logs from now on; never ends."""
    files = {name: Followed(path) for name, path in logs.items()}
    while True:
        quiet = True
        for name, followed in files.items():
            for line in followed.added():
                quiet = False
                yield name, line
        if quiet:
            time.sleep(POLL_SECONDS)


class Followed:
    """One log, also across its rotation (supervisord renames it and begins a new one)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._open(from_end=True)

    def added(self) -> list[str]:
        """Whole lines only: a line is written in pieces."""
        if self._file is None or self._was_replaced():
            self._open(from_end=False)
        if self._file is None:
            return []
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]

    def _open(self, *, from_end: bool) -> None:
        if self._file is not None:
            self._file.close()
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            self._file = None
            return
        self._rest = b""
        if from_end:
            self._file.seek(0, 2)

    def _was_replaced(self) -> bool:
        if self._file is None:
            return False
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        return now.st_ino != os.fstat(self._file.fileno()).st_ino
