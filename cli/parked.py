"""`laurel parked`: the customers whose events wait since a rule raised, and how they go on."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple
from uuid import uuid4

import typer
from confluent_kafka import Producer
from pymongo import MongoClient
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from cli.positions import servers_answer
from cli.problems import CommandError
from shared.contracts.actions import BUILT
from shared.contracts.outcomes import instant
from shared.contracts.topics import INBOX
from shared.runtime.kafka import producer_settings
from shared.runtime.mongo import open_client
from shared.runtime.parking import CUSTOMERS
from shared.runtime.settings import Settings

SERVICES = tuple(sorted({owned.owner for owned in BUILT.values()}))
LOOK_SECONDS = 0.1
UNPARK_SECONDS = 60.0
"""How long an unpark may make no progress before the command gives up waiting."""
PRODUCE_SECONDS = 20.0

app = typer.Typer(
    name="parked",
    help="Customers whose events wait since a rule raised on one of them.",
    no_args_is_help=True,
)
Mongo = MongoClient[dict[str, Any]]


class Parked(NamedTuple):
    """A parked customer of one service: `waiting` events, the first of them recorded `since`."""

    service: str
    customer: str
    since: str
    waiting: int
    event: str
    action: str
    reason: str
    raised: int
    """How often a rule has raised since."""
    unparking: bool


@app.command("list")
def list_parked(
    service: Annotated[str | None, typer.Option(help="Only this service's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """Show who is parked: since when, how many events wait, and what the rule raised.

    Nothing is lost and nobody else is held up. Mend the rule (or the program that it reads),
    deploy, then `laurel parked unpark`.
    """
    settings, console = Settings.from_environment(), Console()
    with opened(settings) as mongo:
        found = parked(mongo, settings, _services(service))
    if as_json:
        typer.echo(json.dumps([each._asdict() for each in found]))
    elif not found:
        console.print("No customer is parked.")
    else:
        console.print(_table(found))


@app.command()
def unpark(
    customers: Annotated[
        list[str] | None, typer.Argument(help="TENANT/CUSTOMER, as `laurel parked list` shows.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Everyone who is parked.")] = False,
    service: Annotated[str | None, typer.Option(help="Only at this service.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until their events are decided.")] = True,
) -> None:
    """Have the waiting events decided, in order, with their original time and program.

    A rule that still raises leaves its customer parked; the command says so and ends with 1.
    """
    if bool(customers) == everyone:
        raise CommandError("name customers as TENANT/CUSTOMER, or give --all.")
    settings, console = Settings.from_environment(), Console()
    with opened(settings) as mongo:
        found = parked(mongo, settings, _services(service))
        chosen = found if everyone else _chosen(found, customers or [])
        if not chosen:
            console.print("No customer is parked.")
            return
        _ask(settings, chosen)
        if not wait:
            console.print(f"Asked for {len(chosen)}; `laurel parked list` shows who is left.")
            return
        left = _decided(mongo, settings, chosen, console)
    _report(console, chosen, left)


@contextmanager
def opened(settings: Settings) -> Iterator[Mongo]:
    """The database; what it raises is said in our words, and what Kafka does."""
    with servers_answer(settings), open_client(settings) as mongo:
        yield mongo


def parked(mongo: Mongo, settings: Settings, services: Sequence[str]) -> list[Parked]:
    """Everyone who is parked at these services; who waits longest comes first."""
    found = [
        Parked(
            service=service,
            customer=each["_id"],
            since=instant(each["since"]),
            waiting=each["waiting"],
            event=each["event"],
            action=each["action"],
            reason=each["reason"],
            raised=each["raised"],
            unparking="unparking" in each,
        )
        for service in services
        for each in mongo[settings.database(service)][CUSTOMERS].find()
    ]
    return sorted(found, key=lambda one: one.since)


Headers = list[tuple[str, str | bytes | None]]
"""As the producer takes them."""


def control(service: str, customer: str) -> tuple[bytes, bytes, Headers]:
    """The control event for `tenant/customer` as the inbox takes it: key, value, headers."""
    tenant, _, id_ = customer.partition("/")
    event = f"~unpark:{uuid4()}"
    body = {"id": event, "customer": id_, "action": "unpark", "data": {"service": service}}
    value = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event,
        "ce_type": "unpark",
        "ce_source": "laurel",
        "tenant": tenant,
        "customer": id_,
        "content": hashlib.sha256(value).hexdigest(),
        "hops": "0",
    }
    return customer.encode(), value, [(name, text.encode()) for name, text in headers.items()]


def _services(service: str | None) -> Sequence[str]:
    if service is not None and service not in SERVICES:
        raise CommandError(f"{service} parks nobody; these may: {', '.join(SERVICES)}.")
    return SERVICES if service is None else (service,)


def _chosen(found: Sequence[Parked], customers: Sequence[str]) -> list[Parked]:
    known = {one.customer for one in found}
    if strangers := [customer for customer in customers if customer not in known]:
        raise CommandError(
            f"{', '.join(strangers)}: not parked; `laurel parked list` shows who is, as "
            "TENANT/CUSTOMER."
        )
    return [one for one in found if one.customer in customers]


def _ask(settings: Settings, chosen: Sequence[Parked]) -> None:
    producer = Producer({**producer_settings(settings, "laurel-parked"), "log_level": 0})
    for one in chosen:
        key, value, headers = control(one.service, one.customer)
        producer.produce(settings.topic(INBOX.name), value, key=key, headers=headers)
    if producer.flush(PRODUCE_SECONDS):
        raise CommandError(
            f"Kafka at {settings.kafka_servers} took no event in {PRODUCE_SECONDS:.0f} s; "
            "`./laurel status` says what runs."
        )


def _decided(
    mongo: Mongo, settings: Settings, chosen: Sequence[Parked], console: Console
) -> list[Parked]:
    """Waits until each is free again, or parked anew; who is left."""
    asked = {(one.service, one.customer): one for one in chosen}
    services = sorted({one.service for one in chosen})
    total = sum(one.waiting for one in chosen)
    moved_at, left_before = time.monotonic(), total
    with _progress(console) as progress:
        task = progress.add_task("deciding what waited", total=total)
        while True:
            left = [
                one
                for one in parked(mongo, settings, services)
                if (one.service, one.customer) in asked
            ]
            waiting = sum(one.waiting for one in left)
            progress.update(task, completed=max(0, total - waiting))
            if all(one.raised > asked[one.service, one.customer].raised for one in left):
                return left
            if waiting != left_before:
                moved_at, left_before = time.monotonic(), waiting
            if time.monotonic() - moved_at > UNPARK_SECONDS:
                raise CommandError(
                    f"{waiting} events still wait after {UNPARK_SECONDS:.0f} s without progress: "
                    f"do the journal and {', '.join(services)} run? `./laurel status` says so."
                )
            time.sleep(LOOK_SECONDS)


def _report(console: Console, chosen: Sequence[Parked], left: Sequence[Parked]) -> None:
    still = {(one.service, one.customer) for one in left}
    for one in chosen:
        if (one.service, one.customer) not in still:
            events = "event" if one.waiting == 1 else "events"
            console.print(Text(f"{one.customer} at {one.service}: {one.waiting} {events} decided"))
    for one in left:
        told = f"{one.customer} at {one.service}: event {one.event} still raises {one.reason}"
        console.print(Text(f"{told}; {one.waiting} wait", style="red"))
    if left:
        raise typer.Exit(1)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _table(found: Sequence[Parked]) -> Table:
    table = Table("service", "customer", "since", title="Parked customers", box=SIMPLE)
    table.add_column("waiting", justify="right")
    for column in ("event", "action", "the rule raised"):
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(
            one.service,
            Text(one.customer),
            one.since,
            f"{one.waiting:,}",
            Text(one.event),
            one.action + (" (unparking)" if one.unparking else ""),
            Text(one.reason),
        )
    return table
