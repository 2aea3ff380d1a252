"""How far a source has been loaded: a small file in the stack's folder."""

import hashlib
from collections.abc import Generator, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from cli.shopping import Line

AHEAD = 2_000
"""The file is written once per so many events handed out; after a SIGKILL it names at most so many
too many as `promised`, never one too few."""


class Bookmark(Struct):
    """`sent`: every event before this place was answered. `promised`: no event from this place on
    was ever handed out (all counted from the start of the source).
    """

    sent: int = 0
    promised: int = 0
    weeks: int | None = None
    """Shopping data only: by how many weeks its times were moved at the first load."""


def place(folder: Path, source: str, gateway: str, key: str) -> Path:
    """The file of one source at one gateway under one credential; the credential only as a hash."""
    digest = hashlib.sha256(f"{source}\0{gateway}\0{key}".encode()).hexdigest()[:16]
    return folder / f"load-{digest}.json"


def read(path: Path) -> Bookmark:
    """An empty one where there is no file. Raises `msgspec.DecodeError` for a damaged file."""
    return msgspec.json.decode(path.read_bytes(), type=Bookmark) if path.exists() else Bookmark()


def write(path: Path, bookmark: Bookmark) -> None:
    """In one step: a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".new")
    aside.write_bytes(msgspec.json.encode(bookmark))
    aside.replace(path)


def promising(
    lines: Iterator[Line], path: Path, bookmark: Bookmark, start: int
) -> Generator[tuple[int, Line], None, None]:
    """Number `lines` from `start`, writing down in the file what is handed out before it is."""
    before, end = bookmark.promised, start
    try:
        for index, line in enumerate(lines, start):
            if index >= bookmark.promised:
                bookmark.promised = index + AHEAD
                write(path, bookmark)
            end = index + 1
            yield index, line
    finally:  # ended or stopped: what was promised ahead was not handed out
        bookmark.promised = max(before, end)
