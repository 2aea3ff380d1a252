"""`laurel rebuild points`: balances made again from the journal's archive, compared, switched."""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import structlog
import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from cli.positions import servers_answer
from cli.problems import CommandError
from services.points.rebuilding.building import RebuildError
from services.points.rebuilding.rebuild import Rebuilt, Told, Wanted, rebuild
from shared.runtime.mongo import LENT_SECONDS, open_client
from shared.runtime.ports import BrokenInvariant, Unavailable
from shared.runtime.settings import Settings

GOES_ON = "What is built is kept: the same command goes on from there (--restart begins anew)."

app = typer.Typer(no_args_is_help=True)


@app.callback()
def about() -> None:
    """Make what a service keeps again, from the journal's archive."""


@app.command()
def points(
    compare_only: Annotated[
        bool, typer.Option("--compare-only", help="Switch nothing, pause nothing.")
    ] = False,
    accept: Annotated[
        bool,
        typer.Option("--accept-differences", help="Switch in spite of differences."),
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Do not go on with what an earlier run has built.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Differences to show; all are counted.")] = 50,
) -> None:
    """Decide every event again, compare with the live balances, then switch.

    A second set of the collections (decisions, states, lots, closed) is built
    beside the live one, from the archive, by the rules of this version. Events
    are taken and decided meanwhile, and reads are served; it needs a core, and
    the disk space of a second set.

    At the end points decides nothing for a few seconds: whoever waits for an
    outcome waits so much longer, and nothing is refused. The last events are
    compared, the second set takes the place of the first, and the workers go
    on by themselves.

    Differences are listed, and then nothing is switched. Where it is the live
    database that is damaged, --accept-differences switches nevertheless.
    Nothing is announced again.

    Exit status 0: identical, or switched as asked; 1: there are differences,
    or it failed.
    """
    settings, console = Settings.from_environment(), Console()
    if compare_only and accept:
        raise CommandError("--compare-only switches nothing, so there is nothing to accept.")
    wanted = Wanted(anew=restart, switches=not compare_only, accepts=accept)
    began = time.monotonic()
    rebuilt = _run(settings, wanted)
    if not rebuilt.documents:
        console.print("Nothing was decided yet, so there is nothing to rebuild.")
        return
    _print(console, rebuilt, wanted, limit, time.monotonic() - began)
    if (rebuilt.differences or rebuilt.raised) and not rebuilt.switched:
        raise typer.Exit(1)


def _run(settings: Settings, wanted: Wanted) -> Rebuilt:
    told, client = _shown(Console(stderr=True)), open_client(settings)
    try:
        with (
            servers_answer(settings),
            _interruptible(),
            _silent_rules(),
            told as each,
            client as mongo,
        ):
            return rebuild(settings, mongo, each, wanted)
    except KeyboardInterrupt:
        typer.echo(f"Stopped; nothing was switched. {GOES_ON}", err=True)
        raise typer.Exit(130) from None
    except RebuildError as error:
        raise CommandError(str(error)) from error
    except BrokenInvariant as error:
        raise CommandError(
            f"the rules break an invariant: {error}. Nothing was switched."
        ) from error
    except Unavailable as error:
        raise CommandError(
            f"MongoDB did not do what it was asked ({error}). {GOES_ON} If it was in the middle of "
            f"switching, points goes on by itself within {LENT_SECONDS:.0f} s."
        ) from error


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM is a Ctrl-C: what is borrowed is given back."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _silent_rules() -> Iterator[None]:
    """What the rules log of the second set is told at the end, in the operator's words."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


class _Rate(ProgressColumn):
    """How many a second, since the stage began."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


@contextmanager
def _shown(console: Console) -> Iterator[Told]:
    """A bar for the stage that is under way; a line for each where nobody looks on."""
    columns = (TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), _Rate())
    progress = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
    with progress:
        task = progress.add_task("looking", total=None)

        def stage(name: str, total: int) -> None:
            progress.reset(task, description=name, total=total or None)
            if not console.is_terminal:
                console.print(f"{name}: {total:,}" if total else name)

        yield Told(stage, lambda more: progress.advance(task, more))


def _print(console: Console, rebuilt: Rebuilt, wanted: Wanted, limit: int, seconds: float) -> None:
    for difference in rebuilt.differences[:limit]:
        console.print(str(difference), markup=False, highlight=False, soft_wrap=True)
    if (left := len(rebuilt.differences) - limit) > 0:
        console.print(f"… and {left:,} more; --limit shows more of them", style="bold")
    for customer in rebuilt.raised[:limit]:
        told = f"event {customer['event']} of {customer['_id']} raises {customer['reason']}"
        console.print(told, style="red", markup=False, highlight=False, soft_wrap=True)
    console.print(_table(rebuilt))
    speed = rebuilt.events / rebuilt.building_seconds if rebuilt.building_seconds else 0
    on = ", going on from an earlier run" if rebuilt.went_on else ""
    console.print(
        f"{rebuilt.events:,} events decided again in {rebuilt.building_seconds:.1f} s "
        f"({speed:,.0f} events/s){on}; {seconds:.1f} s in all.",
        highlight=False,
    )
    console.print(*_end(rebuilt, wanted), highlight=False)


def _table(rebuilt: Rebuilt) -> Table:
    table = Table("collection", box=SIMPLE)
    table.add_column("documents", justify="right")
    table.add_column("differences", justify="right")
    found = [difference.collection for difference in rebuilt.differences]
    for name in dict.fromkeys((*rebuilt.documents, *found)):
        wrong = found.count(name)
        many = rebuilt.documents.get(name)
        shown = "" if many is None else f"{many:,}"
        table.add_row(name, shown, f"{wrong:,}", style="red" if wrong else "")
    return table


def _end(rebuilt: Rebuilt, wanted: Wanted) -> tuple[Text]:
    count = len(rebuilt.differences)
    differs = f"{count:,} difference{'' if count == 1 else 's'}" if count else "Identical"
    style = "red" if count or rebuilt.raised else "green"
    if rebuilt.switched:
        paused = f"nothing was decided for {rebuilt.paused_seconds:.1f} s"
        return (Text(f"{differs}; switched, {paused}.", style=style),)
    if not wanted.switches:
        return (Text(f"{differs}; nothing was switched, as asked.", style=style),)
    hint = ""
    if not rebuilt.raised and not wanted.accepts:
        hint = " The second set is kept: --accept-differences puts it into the place of the first."
    return (Text(f"{differs}; NOT switched: {rebuilt.refused}.{hint}", style=style),)
