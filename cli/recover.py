"""`laurel recover`: what a restored database lacks comes back from the log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli.positions import servers_answer
from cli.problems import CommandError
from services.ingest import recovery
from services.ingest.missing import Advance, RecoveryRefused
from shared.runtime.ports import Unavailable, UnknownCommit
from shared.runtime.settings import Settings

app = typer.Typer(
    name="recover",
    help="Bring a database that was restored from an older copy back to where the log is.",
    no_args_is_help=True,
)


@app.callback()
def recover() -> None:
    """A group also while it has one command."""


@app.command()
def journal(
    accept_lost_program: Annotated[
        bool,
        typer.Option(
            "--accept-lost-program",
            help="Go on where changes of a program are lost for good: the next change gets a "
            "version that was never given.",
        ),
    ] = False,
    accept_lost_inbox: Annotated[
        bool,
        typer.Option(
            "--accept-lost-inbox",
            help="Go on where the inbox has lost messages that the journal never took in.",
        ),
    ] = False,
) -> None:
    """Import what the journal's database lacks from the log in Kafka.

    For a journal that refuses to start since its database is older than the log. Stop it first.
    Everything is read and checked before anything is written; ended in the middle, it goes on when
    it is run again. points, customers and query need nothing: they read the log again.
    """
    settings, console = Settings.from_environment(), Console()
    with _said_plainly(settings):
        with console.status("waiting until no journal is in its group"):
            workers = recovery.running_workers(settings)
        if workers:
            raise CommandError(
                f"a journal runs ({', '.join(workers)}); stop it first: `./laurel down`, or your "
                "supervisor."
            )
        with recovery.opened(settings) as run:
            with _bar(console, "reading the log") as advance:
                plan = run.look(advance)
            if plan.is_empty:
                console.print("Nothing to recover: the journal has every number of the log.")
                return
            _print_plan(console, plan)
            _refuse_losses(plan, program=accept_lost_program, inbox=accept_lost_inbox)
            with _bar(console, "storing") as advance:
                run.carry_out(plan, advance)
    console.print(_summary(plan))


def _print_plan(console: Console, plan: recovery.Plan) -> None:
    if plan.missing:
        table = Table(title="In the log and not in the database", box=SIMPLE)
        for column in ("partition", "from", "to", "messages"):
            table.add_column(column, justify="right")
        for each in plan.missing:
            row = (each.partition, each.first, each.last, each.count)
            table.add_row(*(f"{number:,}" for number in row))
        console.print(table)
    if plan.programs:
        table = Table("tenant", title="Programs with lost changes", box=SIMPLE)
        for column in ("the program ends at version", "the log was stamped with"):
            table.add_column(column, justify="right")
        for tenant, (known, stamped) in plan.programs.items():
            table.add_row(tenant, str(known), str(stamped))
        console.print(table)
    if plan.inbox:
        table = Table(
            "partition", title="Messages of the inbox that are past retention", box=SIMPLE
        )
        for column in ("the journal would read", "the inbox begins at"):
            table.add_column(column, justify="right")
        for partition, (wanted, low) in plan.inbox.items():
            table.add_row(str(partition), f"{wanted:,}", f"{low:,}")
        console.print(table)


def _refuse_losses(plan: recovery.Plan, *, program: bool, inbox: bool) -> None:
    """Nothing is written yet: a loss has to be accepted first."""
    if plan.programs and not program:
        raise CommandError(
            f"changes of the program are lost for {', '.join(plan.programs)}. Restore a newer copy "
            "of the program's database; or, with --accept-lost-program, make the changes again "
            "afterwards: events that were stamped with a lost version are decided by the last one "
            "that is left, wherever they are decided again."
        )
    if plan.inbox and not inbox:
        raise CommandError(
            "the inbox has lost messages that the journal may not have taken in, and nothing else "
            "has them. Have whoever sent events in that time send them again (those taken in are "
            "repeats and change nothing), and go on with --accept-lost-inbox."
        )


def _summary(plan: recovery.Plan) -> str:
    done = []
    if plan.missing:
        count = sum(each.count for each in plan.missing)
        done.append(f"{count:,} messages of {len(plan.missing)} partitions are in the journal.")
    if plan.programs:
        done.append(f"Programs go on behind the lost versions: {', '.join(plan.programs)}.")
    if plan.inbox:
        done.append(f"The inbox is read from where it begins in {len(plan.inbox)} partitions.")
    return "\n".join([*done, "Start the journal again: `./laurel up`, or your supervisor."])


@contextmanager
def _bar(console: Console, what: str) -> Iterator[Advance]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def advance(done: int, total: int) -> None:
            if done % 1_000 == 0 or done == total:
                progress.update(task, completed=done, total=total)

        yield advance


@contextmanager
def _said_plainly(settings: Settings) -> Iterator[None]:
    """What goes wrong on the way, as an operator reads it."""
    try:
        with servers_answer(settings):
            yield
    except RecoveryRefused as error:
        raise CommandError(f"{error}.") from error
    except (Unavailable, UnknownCommit) as error:
        raise CommandError(
            f"MongoDB did not answer ({error}); run this again, it goes on where it stopped."
        ) from error
