"""`laurel demo`: real baskets through the real platform, then a page that proves the result."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from cli import client, probes, program, reconciliation, shopping
from cli.bookmark import Bookmark
from cli.client import Service
from cli.delivery import deliver, folder_of, report, shopping_source
from cli.demo_page import Results, page
from cli.positions import Position, behind, open_admin, positions, servers_answer
from cli.probes import Latency
from cli.problems import CommandError
from cli.reconciliation import Reconciliation
from cli.sending import Sending
from cli.stack import Display
from cli.tally import Tally
from deploy.local.stack import Stack
from shared.runtime.mongo import open_client
from shared.runtime.settings import Settings

BASKETS = 20_000
BASKETS_IN_CI = 1_000
PROBES = 200
TOP = 10
SERVICES = ("journal", "customers", "points", "query")
CATCH_UP_SECONDS = 120.0
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Place:
    """Where this stack's services are, and the credential to use."""

    settings: Settings
    key: str
    gateway: Service
    query: Service


@dataclass(frozen=True, slots=True)
class Baskets:
    """How many baskets to send from the first one on, and how many the balances must show."""

    send: int
    compare: int


def demo(
    *,
    full: Annotated[
        bool, typer.Option("--full", envvar="FULL", help="All 155,848 baskets.")
    ] = False,
    baskets: Annotated[int | None, typer.Option(min=1, help="How many baskets.")] = None,
) -> None:
    """Stream real shopping baskets in, and prove that every household's points are right."""
    settings, console = Settings.from_environment(), Console(highlight=False)
    wanted = baskets or (shopping.BASKETS if full else default_baskets(os.environ.get("CI", "")))
    with Display() as display:
        Stack(settings).up(display.show)
    try:
        code = run(settings, min(wanted, shopping.BASKETS), console)
    except KeyboardInterrupt:
        console.print("Stopped. `make demo` goes on from here; nothing is counted twice.")
        code = 130
    raise typer.Exit(code)


def default_baskets(ci: str) -> int:
    """Fewer where `CI` is set, so that a check ends soon."""
    return BASKETS_IN_CI if ci.lower() in ("true", "1", "yes") else BASKETS


def baskets_there(mark: Bookmark, wanted: int) -> Baskets:
    """An earlier run may have sent more than `wanted`; one that was stopped half way is finished
    first, since nobody knows which of its last baskets are in.
    """
    promised = min(shopping.BASKETS, max(0, mark.promised - shopping.HOUSEHOLDS))
    whole = mark.sent >= mark.promised
    return Baskets(send=wanted if whole else max(wanted, promised), compare=max(wanted, promised))


def run(settings: Settings, wanted: int, console: Console) -> int:
    """The demo on services that are up; prints its page.

    1 where a household has other points than the data says, else 0. Raises `CommandError`.
    """
    results = _results(settings, wanted, console)
    console.print(page(results))
    return 1 if results.reconciliation.differences else 0


def _results(settings: Settings, wanted: int, console: Console) -> Results:
    key = client.default_key(settings)
    with Service(client.program_url(settings), key) as programs:
        program.ensure(programs)
    with (
        Service(client.gateway_url(settings), key) as gateway,
        Service(settings.query_url, key) as query,
    ):
        place = Place(settings, key, gateway, query)
        tally, seconds, compare = _stream(place, wanted, console)
        return Results(
            settings=settings,
            tally=tally,
            seconds=seconds,
            latency=_probe(place, console),
            top=_top(query),
            reconciliation=_reconcile(place, compare, console),
        )


def _stream(place: Place, wanted: int, console: Console) -> tuple[Tally, float, int]:
    """Everything from the start: what is there already only makes repeats.

    What came of it; the seconds from the first event sent until every service has taken in
    everything; and how many baskets the balances must show.
    """
    sending, folder = Sending(place.gateway.url, place.key), folder_of(place.settings)
    source = shopping_source(folder, sending, wanted, place.query)
    there = baskets_there(source.bookmark, wanted)
    if there.send != wanted:
        source = shopping_source(folder, sending, there.send, place.query)
    began = time.monotonic()
    tally = deliver(source, sending, from_start=True, console=console)
    _catch_up(place.settings)
    seconds = time.monotonic() - began
    if tally.refused:
        report(tally, seconds, console)
        raise CommandError(
            "events were refused (see above). Where this stack holds other data: `make reset`."
        )
    return tally, seconds, there.compare


def _catch_up(settings: Settings) -> None:
    deadline = time.monotonic() + CATCH_UP_SECONDS
    admin = open_admin(settings)
    with servers_answer(settings), open_client(settings) as mongo:
        while left := _behind(positions(admin, mongo, settings), settings):
            if time.monotonic() > deadline:
                raise CommandError(
                    f"after {CATCH_UP_SECONDS:.0f} s {left}; `./laurel lag` shows where."
                )
            time.sleep(POLL_SECONDS)


def _behind(found: list[Position], settings: Settings) -> str:
    """Empty when every service has taken in everything."""
    left = behind(found, SERVICES, settings.partitions)
    if left is None:
        return "a service has not begun to read"
    return f"{left:,} messages wait to be taken in" if left else ""


def _probe(place: Place, console: Console) -> Latency:
    with _counting("latency probes", PROBES, console) as counted:
        return probes.measure(place.gateway, place.query, PROBES, counted)


def _top(query: Service) -> list[dict[str, Any]]:
    """One more is asked for, since the probe's customer may be among them."""
    found = query.get("/v1/customers", sort="-score", limit=TOP + 1)["items"]
    return [row for row in found if row["id"] != probes.CUSTOMER][:TOP]


def _reconcile(place: Place, baskets: int, console: Console) -> Reconciliation:
    with _counting("reconciliation", shopping.HOUSEHOLDS, console) as counted:
        return reconciliation.reconcile(place.query.url, place.key, baskets, counted)


@contextmanager
def _counting(what: str, total: int, console: Console) -> Iterator[Callable[[int], None]]:
    """A progress bar, as a function that is told how many are done."""
    with Progress(console=console) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
