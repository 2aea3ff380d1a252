"""The demo's page of results: how fast, who leads, and whether the points are right."""

from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli import client
from cli.probes import Latency
from cli.reconciliation import Reconciliation, summary
from cli.tally import Tally
from shared.runtime.settings import Settings

DIFFERENCES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Results:
    """All that the page shows. `seconds`: first event sent until everything was decided."""

    settings: Settings
    tally: Tally
    seconds: float
    latency: Latency
    top: list[dict[str, Any]]
    """Rows of `GET /v1/customers`."""
    reconciliation: Reconciliation


def page(results: Results) -> RenderableType:
    """Three panels and a line that says where to look next."""
    return Group(
        Panel(_speed(results), title="Speed", title_align="left"),
        Panel(_leaders(results.top), title="Top customers by score", title_align="left"),
        _proof(results.reconciliation),
        _next(results),
    )


def _speed(results: Results) -> Table:
    tally, latency = results.tally, results.latency
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row(
        "events", f"{tally.answered:,}", f"{tally.accepted:,} new, {tally.repeats:,} repeats"
    )
    rate = tally.answered / max(results.seconds, 0.001)
    table.add_row("events per second", f"{rate:,.0f}", "first event sent to last one decided")
    table.add_row(
        "event to balance",
        f"{latency.p50:.0f} ms p50, {latency.p99:.0f} ms p99",
        f"{latency.probes} single events, each read back over HTTP",
    )
    return table


def _leaders(rows: list[dict[str, Any]]) -> Table:
    table = Table("customer", box=None, pad_edge=False)
    for column in ("score", "spendable"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(Text(row["id"]), f"{row['score']:,}", f"{row['spendable']:,}")
    return table


def _proof(found: Reconciliation) -> Panel:
    style = "red" if found.differences else "green"
    lines = [Text(summary(found), style=f"bold {style}")]
    lines += [Text(str(difference)) for difference in found.differences[:DIFFERENCES_SHOWN]]
    if (more := len(found.differences) - DIFFERENCES_SHOWN) > 0:
        lines.append(Text(f"… and {more:,} more"))
    lines.append(
        Text("Summed from the data file by a module that imports nothing of Laurel.", style="dim")
    )
    return Panel(Group(*lines), title="Reconciliation", title_align="left", border_style=style)


def _next(results: Results) -> Text:
    settings, first = results.settings, results.top[0]["id"] if results.top else "household-1"
    return Text(
        f"Next: ./laurel customer {first}, or send an event at {client.gateway_url(settings)}/docs "
        f"and read it at {settings.query_url}/docs"
    )
