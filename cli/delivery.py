"""One source to the gateway: where it stands, what is left of it, progress, and what came of it."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from cli import bookmark as bookmarks
from cli import shopping, sources
from cli.bookmark import Bookmark
from cli.client import ProblemError, Service
from cli.sending import Loader, Sending
from cli.shopping import Line
from cli.tally import Tally
from shared.runtime.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
SAVE_SECONDS = 0.5
"""How often the bookmark is brought up to date while all is well."""


@dataclass(slots=True)
class Source:
    """Where events come from: their name on the screen, themselves, and how many if known."""

    name: str
    lines: Iterator[Line]
    total: int | None
    path: Path
    """Of its bookmark."""
    bookmark: Bookmark


def folder_of(settings: Settings) -> Path:
    """Where bookmarks are kept: in the stack's folder, so that `make reset` forgets them."""
    return ROOT / settings.stack_folder / "run" / "load"


def shopping_source(folder: Path, sending: Sending, baskets: int, query: Service | None) -> Source:
    """All enrolments, then the first `baskets` baskets.

    The first load decides by how many weeks the times move, and writes it down before anything is
    sent. Where the file is lost but the events are there, `query` knows the weeks.
    """
    path = bookmarks.place(folder, "shopping", sending.url, sending.key)
    bookmark = bookmarks.read(path)
    if bookmark.weeks is None:
        bookmark.weeks = _weeks_of_earlier_load(query) if query else None
        if bookmark.weeks is None:
            bookmark.weeks = shopping.weeks_until(datetime.now(UTC))
        bookmarks.write(path, bookmark)
    lines = shopping.read_lines()
    baskets = min(baskets, shopping.BASKETS)
    events = chain(shopping.opt_ins(lines), shopping.checkouts(lines, bookmark.weeks, baskets))
    return Source("shopping data", events, shopping.HOUSEHOLDS + baskets, path, bookmark)


def _weeks_of_earlier_load(query: Service) -> int | None:
    try:
        outcome = query.get(f"/v1/events/{shopping.FIRST_BASKET_ID}")
    except ProblemError as problem:
        if problem.status == 404:
            return None
        raise
    time_of_it = outcome.get("time")
    return time_of_it and shopping.weeks_moved(datetime.fromisoformat(time_of_it))


def file_source(folder: Path, sending: Sending, file: Path, limit: int | None) -> Source:
    """The events of one file, its first `limit` ones where given."""
    print_of_file = sources.fingerprint(file)
    path = bookmarks.place(folder, print_of_file, sending.url, sending.key)
    lines = islice(sources.events(file, print_of_file), limit)
    return Source(file.name, lines, limit, path, bookmarks.read(path))


def deliver(source: Source, sending: Sending, *, from_start: bool, console: Console) -> Tally:
    """Send what the bookmark says is left (or everything), showing progress.

    The bookmark is right whenever this ends: by success, an error of ours, or Ctrl-C.
    """
    start = 0 if from_start else source.bookmark.sent
    tally = Tally()
    began = saved = time.monotonic()
    with _progress(console) as progress:
        task = progress.add_task(source.name, total=source.total, completed=start, rate="", note="")

        def moved() -> None:
            nonlocal saved
            now = time.monotonic()
            progress.update(
                task,
                completed=start + tally.answered,
                rate=f"{tally.answered / max(now - began, 0.001):,.0f}/s",
                note=tally.waiting,
            )
            if now - saved > SAVE_SECONDS:
                saved = now
                _save(source, loader)

        loader = Loader(sending, tally, moved, start)
        numbered = bookmarks.promising(
            islice(source.lines, start, None), source.path, source.bookmark, start
        )
        try:
            with closing(numbered):
                asyncio.run(loader.send(numbered))
        finally:
            _save(source, loader)
            moved()
    return tally


def _save(source: Source, loader: Loader) -> None:
    source.bookmark.sent = max(source.bookmark.sent, loader.lanes.sent)
    bookmarks.write(source.path, source.bookmark)


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("[yellow]{task.fields[note]}"),
        console=console,
    )


def report(tally: Tally, seconds: float, console: Console) -> None:
    """Counts in a line, then the first problems."""
    parts = [
        f"{tally.accepted:,} accepted",
        f"{tally.repeats:,} repeats",
        *([f"{tally.queued:,} queued"] if tally.queued else []),
        f"{tally.refused.total():,} refused",
    ]
    console.print(", ".join(parts) + f" in {seconds:.1f} s", highlight=False)
    for code, count in tally.refused.most_common():
        console.print(f"  [red]{count:,} x {code}[/red]", highlight=False)
    for words in tally.problems:
        console.print("    " + words, markup=False, highlight=False)
