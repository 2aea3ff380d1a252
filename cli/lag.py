"""`laurel lag`: how far each service is behind, in messages and seconds, and who is parked."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Any, NamedTuple

import typer
from pymongo import MongoClient
from rich.box import SIMPLE
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.positions import (
    Position,
    open_admin,
    positions,
    servers_answer,
    services_of,
)
from cli.records import Records, RecordsMissing, Span, at_ms
from shared.contracts.outcomes import instant
from shared.runtime.mongo import open_client
from shared.runtime.parking import CUSTOMERS
from shared.runtime.settings import Settings

WATCH_SECONDS = 1.0
PEEK_SECONDS = 3.0
"""For all the messages whose age is asked together."""
_TOTALS: list[dict[str, Any]] = [
    {"$sort": {"since": 1}},
    {
        "$group": {
            "_id": None,
            "customers": {"$sum": 1},
            "events": {"$sum": "$waiting"},
            "oldest": {"$first": "$$ROOT"},
        }
    },
]

Mongo = MongoClient[dict[str, Any]]


class Behind(NamedTuple):
    """A position and how long the oldest message that is not taken in has waited.

    `seconds`: by Kafka's record timestamp; 0 where none waits, `None` where the broker did not
    hand the message over in time.
    """

    at: Position
    seconds: float | None


class Oldest(NamedTuple):
    """A parked customer: on `event` a rule raised, recorded at `since`; `waiting` events."""

    customer: str
    event: str
    since: datetime
    waiting: int


class Parked(NamedTuple):
    """How many customers one service has parked, with how many events, and who waits longest."""

    service: str
    customers: int
    events: int
    oldest: Oldest


class Look(NamedTuple):
    """What is so at one moment."""

    now: datetime
    behind: Sequence[Behind]
    parked: Sequence[Parked]


def lag(
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs; one line a look.")] = False,
) -> None:
    """Show how far each service is behind, and which customers are parked.

    Per input and partition: the next message it takes, by its positions in
    MongoDB; the topic's end; how many wait, and since when the oldest does.
    """
    show: Callable[[Look], Any] = _as_json if as_json else page
    console = Console()
    with _looking() as look:
        if watch and not as_json:
            with Live(show(look()), console=console, auto_refresh=False) as live:
                for seen in _again(look):
                    live.update(show(seen), refresh=True)
        elif watch:
            for seen in _again(look):
                print(show(seen), flush=True)
        elif as_json:
            print(show(look()))
        else:
            console.print(show(look()))


@contextmanager
def _looking() -> Iterator[Callable[[], Look]]:
    settings = Settings.from_environment()
    try:
        with (
            servers_answer(settings),
            open_client(settings) as mongo,
            Records(settings) as records,
        ):
            admin = open_admin(settings)

            def look() -> Look:
                found = positions(admin, mongo, settings)
                return Look(
                    datetime.now(UTC), ages(found, records, settings), parked(mongo, settings)
                )

            yield look
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _again(look: Callable[[], Look]) -> Iterator[Look]:
    while True:
        yield look()
        time.sleep(WATCH_SECONDS)


def ages(found: Iterable[Position], records: Records, settings: Settings) -> list[Behind]:
    """Peeks at the next message of every position that is behind, within `PEEK_SECONDS`."""
    spans = {
        one: Span(settings.topic(one.topic), one.partition, one.next, one.end, 1) for one in found
    }
    peeked: dict[Span, float] = {}
    try:
        waiting = {span for one, span in spans.items() if one.lag}
        for span, message in records.read(waiting, PEEK_SECONDS):
            peeked[span] = max(0.0, round(time.time() - at_ms(message) / 1000, 3))
    except RecordsMissing:
        pass  # those are shown as not known
    return [Behind(one, peeked.get(span) if one.lag else 0.0) for one, span in spans.items()]


def parked(mongo: Mongo, settings: Settings) -> list[Parked]:
    """Of each service that has parked somebody."""
    return [
        Parked(service, total["customers"], total["events"], _oldest(total["oldest"]))
        for service in services_of(mongo, settings)
        for total in mongo[settings.database(service)][CUSTOMERS].aggregate(_TOTALS)
    ]


def _oldest(document: dict[str, Any]) -> Oldest:
    return Oldest(document["_id"], document["event"], document["since"], document["waiting"])


def page(seen: Look) -> Group:
    """The whole look as tables."""
    if not seen.behind:
        return Group("No service has a position yet: none has taken in a message.")
    return Group(lag_table(seen.behind), parked_table(seen.parked, seen.now))


def lag_table(found: Iterable[Behind]) -> Table:
    """A row per service, input and partition; a total after each input, and one of all."""
    table = Table("service", "reads", title="Lag", box=SIMPLE)
    for column in ("partition", "position", "end", "lag", "oldest waits"):
        table.add_column(column, justify="right")
    everything: list[Behind] = []
    for (service, topic), group in groupby(found, key=lambda one: (one.at.service, one.at.topic)):
        rows = list(group)
        for one in rows:
            places = (str(one.at.partition), f"{one.at.next:,}", f"{one.at.end:,}")
            table.add_row(service, topic, *places, *_totals([one]))
        table.add_row(service, topic, "all", "", "", *_totals(rows), style="bold")
        table.add_section()
        everything += rows
    table.add_row("all", "", "", "", "", *_totals(everything), style="bold")
    return table


def _totals(rows: Sequence[Behind]) -> tuple[str, str]:
    """Messages are added up; the oldest of all is the oldest."""
    return f"{sum(one.at.lag for one in rows):,}", age(longest(rows))


def longest(rows: Iterable[Behind]) -> float | None:
    """Seconds; `None` where one of them is not known."""
    known = [one.seconds for one in rows]
    return None if None in known else max((each for each in known if each), default=0.0)


def age(seconds: float | None) -> str:
    """`0.4 s`, `12 min 5 s`, `3 h 20 min`; `?` for not known."""
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds else "0 s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def parked_table(found: Sequence[Parked], now: datetime) -> Table | str:
    """A row per service; a sentence where nobody is parked."""
    if not found:
        return "No customer is parked."
    table = Table("service", title="Parked", box=SIMPLE)
    table.add_column("customers", justify="right")
    table.add_column("events", justify="right")
    for column in ("longest", "on event"):
        table.add_column(column, overflow="fold")
    table.add_column("since (UTC)")
    table.add_column("waits", justify="right")
    for one in found:
        table.add_row(
            one.service,
            f"{one.customers:,}",
            f"{one.events:,}",
            Text(one.oldest.customer),
            Text(one.oldest.event),
            f"{one.oldest.since:%Y-%m-%d %H:%M:%S}",
            age(max(0.0, (now - one.oldest.since).total_seconds())),
        )
    table.caption = "`./laurel parked list` names them all"
    return table


def _as_json(seen: Look) -> str:
    return json.dumps(
        {
            "at": instant(seen.now),
            "lag": sum(one.at.lag for one in seen.behind),
            "oldest_seconds": longest(seen.behind),
            "inputs": [
                {
                    "service": one.at.service,
                    "topic": one.at.topic,
                    "partition": one.at.partition,
                    "position": one.at.next,
                    "end": one.at.end,
                    "lag": one.at.lag,
                    "oldest_seconds": one.seconds,
                }
                for one in seen.behind
            ],
            "parked": [
                {
                    "service": one.service,
                    "customers": one.customers,
                    "events": one.events,
                    "oldest": {
                        **one.oldest._asdict(),
                        "since": instant(one.oldest.since),
                    },
                }
                for one in seen.parked
            ],
        }
    )
