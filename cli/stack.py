"""`laurel up`, `down`, `status`, `logs`, `reset`: the local stack from the command line."""

import itertools
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from cli.problems import CommandError
from deploy.local import logs as log_files
from deploy.local.mongod import REPLICA_SET
from deploy.local.programs import SERVICES
from deploy.local.stack import LOCAL_KEYS, Row, Stack
from shared.runtime.settings import Settings

app = typer.Typer()
console = Console(highlight=False)

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_red", "bright_cyan")
STOPPED = 3  # as systemctl answers
HTTP = {service.name for service in SERVICES if service.port}


@app.command()
def up(
    servers: Annotated[
        bool, typer.Option("--servers", help="Only Kafka and mongod, without the services.")
    ] = False,
) -> None:
    """Start Kafka, mongod and every service, wait until all are ready, and say where they are.

    Another `up` does no harm. Servers that you name in LAUREL_KAFKA_SERVERS or LAUREL_MONGO_URL
    are used instead of starting our own.
    """
    stack = Stack(Settings.from_environment())
    with Display() as display:
        started = stack.up(display.show, servers_only=servers)
    console.print("Laurel is up." if started else "Laurel runs already.", style="bold green")
    _print_addresses(stack)


@app.command()
def down() -> None:
    """Stop everything; data, logs and keys stay where they are.

    It also stops what a killed supervisord left running.
    """
    with Display() as display:
        stopped = Stack(Settings.from_environment()).down(display.show)
    console.print(
        "Laurel is down; its data is kept." if stopped else "Nothing of Laurel runs here."
    )


@app.command()
def reset() -> None:
    """Stop everything and remove its data, logs and keys for good."""
    stack = Stack(Settings.from_environment())
    with Display() as display:
        removed = stack.reset(display.show)
    console.print(f"Removed {_shown(stack.folder)}." if removed else "There is no data to remove.")


@app.command()
def status() -> None:
    """Show each process: its state, process id, how long it runs, whether it is ready, and where.

    Ends with 0 when all are ready, 1 when one is not, 3 when the stack is down.
    """
    stack = Stack(Settings.from_environment())
    rows = stack.status()
    if not rows:
        if left := stack.left_over():
            raise CommandError(
                f"supervisord does not answer, but what it started runs: {', '.join(left)}. "
                "`./laurel down` stops it."
            )
        console.print("Laurel is down. Start it with `./laurel up`.")
        raise typer.Exit(STOPPED)
    table = Table("process", "state", "pid", "up", "ready", "address", box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            row.part.name,
            row.process.state.lower(),
            str(row.process.pid or "-"),
            _duration(row.process.uptime_seconds) if row.process.pid else "-",
            "[green]yes[/]" if row.ready else "[red]no[/]",
            f"127.0.0.1:{row.part.port}",
        )
    console.print(table)
    if not all(row.ready for row in rows):
        raise typer.Exit(1)


@app.command()
def logs(
    name: Annotated[
        str | None, typer.Argument(help="One process (`laurel status` names them); default: all.")
    ] = None,
    lines: Annotated[int, typer.Option(help="How many of the last lines first.", min=0)] = 10,
    follow: Annotated[bool, typer.Option(help="Go on with what is added, until Ctrl-C.")] = True,
) -> None:
    """Show the last lines of the logs and follow them."""
    stack = Stack(Settings.from_environment())
    files = {path.stem: path for path in sorted(stack.logs.glob("*.log"))}
    if name is not None:
        if name not in files:
            known = ", ".join(files) or "none yet: start the stack first"
            raise CommandError(f"there is no log named {name}; there are: {known}.")
        files = {name: files[name]}
    width = max((len(known) for known in files), default=0)
    colours = dict(zip(files, itertools.cycle(COLOURS), strict=False))
    parts = [log_files.last_lines(files, lines)]
    if follow:
        parts.append(log_files.follow(files))
    for program, line in itertools.chain.from_iterable(parts):
        console.print(f"{program:{width}} |", style=colours[program], end=" ")
        console.print(line, markup=False, soft_wrap=True)


class Display:
    """What each program is doing: a spinner a line in a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.fields[program]:12}{task.description}"),
            console=console,
        )
        self._tasks: dict[str, int] = {}
        self._printed: dict[str, str] = {}

    def __enter__(self) -> Self:
        if console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if console.is_terminal:
            self._progress.stop()

    def show(self, program: str, doing: str) -> None:
        """The stack's report."""
        done = doing.startswith("ready")
        if console.is_terminal:
            if program not in self._tasks:
                self._tasks[program] = self._progress.add_task("", total=1, program=program)
            task = self._progress.tasks[self._tasks[program]]
            self._progress.update(task.id, description=doing, completed=int(done))
        elif self._printed.get(program) != doing.split(maxsplit=1)[0]:
            self._printed[program] = doing.split(maxsplit=1)[0]
            console.print(f"{program}: {doing}")


def _print_addresses(stack: Stack) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for row in stack.status():
        if row.ready:
            table.add_row(row.part.name, _address(row), _about(row))
    if not stack.settings.keys.get_secret_value():
        for entry in LOCAL_KEYS.split(","):
            key, tenant, role = entry.split(":")
            table.add_row("key", key, f"tenant {tenant}, {role}")
    table.add_row("logs", _shown(stack.logs), "./laurel logs [NAME]")
    console.print(table)
    console.print("Each service also answers /readyz and /metrics.")
    console.print("Next: `make demo`, `make status`, `make down`.")


def _address(row: Row) -> str:
    local = f"127.0.0.1:{row.part.port}"
    return f"http://{local}" if row.part.is_service else local


def _shown(path: Path) -> str:
    """As somebody would type it here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _about(row: Row) -> str:
    if row.part.name == "mongod":
        return f"mongodb://…/?replicaSet={REPLICA_SET}"
    if not row.part.is_service:
        return ""
    return "API, with /docs" if row.part.name in HTTP else "worker"


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
