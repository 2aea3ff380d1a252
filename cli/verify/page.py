"""What verify shows: how far it is, the differences, the table at the end; or JSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.verify import audit
from cli.verify.findings import CHECKED, Findings


@contextmanager
def shown(console: Console) -> Iterator[audit.Progress]:
    """Two lines: documents of the snapshot, then events that are checked."""
    columns = (TextColumn("{task.description:18}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bars:
        read = bars.add_task("documents read", total=None)
        checked = bars.add_task("events checked", total=None, start=False)

        def events(total: int) -> None:
            bars.update(read, total=bars.tasks[0].completed)
            bars.start_task(checked)
            bars.update(checked, total=total)

        yield audit.Progress(
            lambda more: bars.advance(read, more),
            events,
            lambda more: bars.advance(checked, more),
        )


def print_page(console: Console, audited: audit.Audited, seconds: float) -> None:
    """The differences, as many as are kept, then what was checked and how much of it."""
    found = audited.found
    for difference in found.differences:
        console.print(str(difference), markup=False, highlight=False, soft_wrap=True)
    if left := found.total - len(found.differences):
        console.print(f"… and {left:,} more; --limit shows more of them", style="bold")
    console.print(_table(found))
    events = found.checked["journal.events"]
    console.print(
        f"{found.total:,} difference{'' if found.total == 1 else 's'}: {events:,} events in "
        f"{audited.partitions} partitions as of {audited.at:%Y-%m-%d %H:%M:%S} UTC, checked in "
        f"{seconds:.1f} s ({events / seconds:,.0f} events/s)",
        style="red" if found.total else "green",
        highlight=False,
    )


def _table(found: Findings) -> Table:
    table = Table("checked", "what must hold", box=SIMPLE)
    table.add_column("how many", justify="right")
    table.add_column("differences", justify="right")
    for where, holds in CHECKED.items():
        wrong = found.differing[where]
        style = "red" if wrong else ""
        table.add_row(where, holds, f"{found.checked[where]:,}", f"{wrong:,}", style=style)
    return table


def as_json(audited: audit.Audited, seconds: float) -> str:
    """One object; `shown` holds at most as many differences as were asked for."""
    found = audited.found
    return json.dumps(
        {
            "at": f"{audited.at.isoformat(timespec='milliseconds')}Z",
            "partitions": audited.partitions,
            "seconds": round(seconds, 3),
            "checked": {where: found.checked[where] for where in CHECKED},
            "differing": {where: found.differing[where] for where in CHECKED},
            "differences": found.total,
            "shown": [difference._asdict() for difference in found.differences],
        },
        indent=2,
    )
