"""`laurel load`: events from files or the shopping data to the gateway, resumable."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli import client, shopping
from cli.client import Service
from cli.delivery import Source, deliver, file_source, folder_of, report, shopping_source
from cli.problems import CommandError
from cli.sending import Sending
from shared.runtime.settings import Settings


def load(
    files: Annotated[
        list[Path] | None,
        typer.Argument(exists=True, dir_okay=False, help="JSON array or NDJSON, also gzipped."),
    ] = None,
    *,
    shopping_data: Annotated[
        bool, typer.Option("--shopping", help="The shopping data: enrolments, then baskets.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first events of a file, or baskets.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Events per second at most.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Events in one request.")] = 250,
    lanes: Annotated[int, typer.Option(min=1, max=64, help="Requests in flight.")] = 8,
    wait: Annotated[
        bool, typer.Option(help="Wait for each outcome; without: only until it is queued.")
    ] = True,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Send again what was sent before.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="The gateway (default: the local stack's).")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The credential to send with.")] = None,
) -> None:
    """Send events to the gateway; run it again to continue where it stopped."""
    settings = Settings.from_environment()
    gateway = (url or client.gateway_url(settings)).rstrip("/")
    key = key or client.default_key(settings)
    sending = Sending(gateway, key, lanes, batch, rate, 30 if wait else 0)
    console, folder = Console(), folder_of(settings)
    if bool(files) == shopping_data:
        raise CommandError("name files to load, or --shopping: one of the two.")
    refused = 0
    if shopping_data:
        with Service(settings.query_url, key) as query:
            known = None if url else query  # another gateway's query service is not known here
            source = shopping_source(folder, sending, limit or shopping.BASKETS, known)
        refused += _load_one(source, sending, from_start=from_start, console=console)
    for file in files or []:
        source = file_source(folder, sending, file, limit)
        refused += _load_one(source, sending, from_start=from_start, console=console)
    raise typer.Exit(1 if refused else 0)


def _load_one(source: Source, sending: Sending, *, from_start: bool, console: Console) -> int:
    """How many events were refused. Exits where the load could not go on."""
    done = source.bookmark.sent
    if done and not from_start:
        if source.total is not None and done >= source.total:
            console.print(f"{source.name}: all was sent before; --from-start sends it again.")
            return 0
        console.print(f"{source.name}: {done:,} events were sent before; --from-start resends them")
    began = time.monotonic()
    try:
        tally = deliver(source, sending, from_start=from_start, console=console)
    except KeyboardInterrupt:
        console.print(resuming(source))
        raise typer.Exit(130) from None
    except CommandError as error:
        raise CommandError(f"{error}\n{resuming(source)}") from error
    report(tally, time.monotonic() - began, console)
    return tally.refused.total()


def resuming(source: Source) -> str:
    """For whoever stopped it, or has to start something first."""
    return (
        f"{source.name}: {source.bookmark.sent:,} events are in; "
        "the same command continues from there."
    )
