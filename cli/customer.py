"""`laurel customer ID`: one customer on one page, as the query service tells it."""

from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli import client
from cli.client import ProblemError, Service
from cli.problems import CommandError
from shared.runtime.settings import Settings

FIGURES = ("spendable", "score", "spent", "expired", "pending", "reserved")
STATUS_STYLES = {"active": "green", "suspended": "yellow", "opted_out": "red"}


def customer(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The customer's id.")],
    last: Annotated[int, typer.Option(min=1, max=100, help="How many rows of each list.")] = 10,
    url: Annotated[str | None, typer.Option(help="The query service.")] = None,
    key: Annotated[str | None, typer.Option(help="The credential to read with.")] = None,
) -> None:
    """Show a customer: status, balances, the last events, and what changed the points."""
    settings, console = Settings.from_environment(), Console()
    path = f"/v1/customers/{client.segment(identifier)}"
    with Service(url or settings.query_url, key or client.default_key(settings)) as query:
        try:
            card = query.get(path)
        except ProblemError as problem:
            if problem.status == 404:
                raise CommandError(f"there is no customer {identifier!r} here.") from problem
            raise
        events = query.get(f"{path}/events", limit=last)["items"]
        history = query.get(f"{path}/points-history", limit=last)["items"]
    console.print(page(card, events, history))


def page(
    card: dict[str, Any], events: list[dict[str, Any]], history: list[dict[str, Any]]
) -> Panel:
    """The card of `GET /v1/customers/{id}` with rows of its events and points history."""
    status = card["status"]
    title = Text.assemble((card["id"], "bold"), "  ", (status, STATUS_STYLES.get(status, "dim")))
    return Panel(Group(_accounts(card), "", _events(events), "", _history(history)), title=title)


def _accounts(card: dict[str, Any]) -> Table:
    table = _table("Balances", "account", *FIGURES)
    for account in card.get("accounts") or []:
        name = account.get("name") or account["id"]
        table.add_row(Text(name), *(f"{account.get(figure, 0):,}" for figure in FIGURES))
    return table


def _events(rows: list[dict[str, Any]]) -> Table:
    table = _table("Last events", "time", "action", "points", "account", "id")
    for row in rows:
        table.add_row(
            _when(row.get("time")),
            str(row["action"]),
            signed(row.get("points")),
            Text(row.get("account") or ""),
            Text(row["id"]),
        )
    return table


def _history(rows: list[dict[str, Any]]) -> Table:
    table = _table("Points history", "at", "action", "points", "balance", "account")
    for row in rows:
        table.add_row(
            _when(row.get("at")),
            str(row["action"]),
            signed(row.get("points")),
            f"{row['balance']:,}",
            Text(row.get("account") or ""),
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    for column in columns:
        numbers = column in FIGURES or column in ("points", "balance")
        table.add_column(column, justify="right" if numbers else "left")
    return table


def signed(points: int | None) -> str:
    """`+12`, `-5`; nothing for an event that moved no points."""
    return f"{points:+,}" if points else ""


def _when(instant: str | None) -> str:
    """`2026-03-01T09:30:00.250Z` → `2026-03-01 09:30:00`."""
    return (instant or "")[:19].replace("T", " ")
