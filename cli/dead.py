"""`laurel dead list|show|replay`: what services could not read, and how to send it again."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from cli.letters import DEAD_TOPICS, FILTERED_MAX, Letter, Letters, place_of
from cli.positions import open_admin, servers_answer
from cli.problems import CommandError
from cli.records import Records
from cli.replaying import Replaying, not_replayable
from shared.contracts.topics import INBOX, dead
from shared.runtime.settings import Settings

LINES_MAX = 200
"""Of a body that is shown; `--raw` writes all of it."""
LINE_CHARACTERS_MAX = 500
DUMPED_LINES_MAX = 64
DUMPED_A_LINE = 16

app = typer.Typer(no_args_is_help=True)


@app.callback()
def about() -> None:
    """Dead letters: list them, look at one, send it again.

    A message that a service cannot read, or on which a rule raised, is put
    aside on the topic's `.dead` topic: as it came, with why and where from.
    It stays there for 90 days.
    """


@app.command("list")
def list_(
    topic: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Only those of one, such as events.inbox.")
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            metavar="SERVICE",
            help=f"Only those of one service; looks at the newest {FILTERED_MAX:,} of a partition.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List dead letters, newest first.

    A dead topic is append-only: a letter that was replayed is still listed.
    """
    topics = DEAD_TOPICS if topic is None else (_dead_topic(topic),)
    with _letters() as letters:
        found = letters.newest(topics, service, limit)
        total = sum(mark.high - mark.low for mark in letters.marks(topics).values())
    if as_json:
        print(json.dumps({"total": total, "letters": [_row(letter) for letter in found]}))
    elif found:
        Console().print(_table(found, total))
    else:
        Console().print("No dead letters." if not total else _none_of(service, total))


@app.command()
def show(
    place: Annotated[
        list[str], typer.Argument(metavar="TOPIC PARTITION OFFSET", help="Or its id, as listed.")
    ],
    raw: Annotated[
        bool, typer.Option("--raw", help="Only the original bytes, to standard output.")
    ] = False,
) -> None:
    """Show one dead letter: its headers and the original bytes, as JSON or as a hex dump."""
    wanted = place_of(place)
    with _letters() as letters:
        letter = letters.one(wanted)
    if raw:
        sys.stdout.buffer.write(letter.value)
    else:
        Console().print(page(letter))


@app.command()
def replay(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="As listed: events.inbox/3/17.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every letter of events.inbox.dead.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --all.")] = False,
) -> None:
    """Put dead letters of the inbox back on it, with their bytes, key and headers.

    The journal takes an event id once: to replay a letter twice does no harm.
    The event is recorded as of now, by the program of now, with the time that
    the client gave it. What still cannot be read becomes a new letter.

    A replayed letter stays in the list, since a dead topic is append-only.
    """
    if bool(ids) == everything:
        raise CommandError("name the letters to replay, or --all: one of the two.")
    places = [place_of([one]) for one in dict.fromkeys(ids or [])]
    for place in places:
        if why := not_replayable(place):
            raise CommandError(why)
    settings = Settings.from_environment()
    with _letters() as letters:
        if everything:
            if not _agreed(letters, yes=yes):
                return
            chosen = letters.all_of(dead(INBOX.name))
        else:
            chosen = iter([letters.one(place) for place in places])  # all are there, or none goes
        count = Replaying(settings).send(chosen)
    Console().print(
        f"{count:,} letter{'' if count == 1 else 's'} put back on {INBOX.name}. What became of an "
        "event: `GET /v1/events/{id}` at the query service, or `./laurel dead list`."
    )


def _agreed(letters: Letters, *, yes: bool) -> bool:
    marks = letters.marks([dead(INBOX.name)])
    total = sum(mark.high - mark.low for mark in marks.values())
    if not total:
        Console().print(f"No dead letters of {INBOX.name}.")
        return False
    question = f"Put all {total:,} letters of {dead(INBOX.name)} back on {INBOX.name}?"
    return yes or typer.confirm(question, abort=True)


@contextmanager
def _letters() -> Iterator[Letters]:
    settings = Settings.from_environment()
    with servers_answer(settings), Records(settings) as records:
        letters = Letters(settings, open_admin(settings), records)
        if not letters.marks():
            raise CommandError(
                f"no topics of namespace {settings.namespace}; `./laurel up` makes them."
            )
        yield letters


def _dead_topic(name: str) -> str:
    topic = name if name.endswith(dead("")) else dead(name)
    if topic not in DEAD_TOPICS:
        known = ", ".join(each.removesuffix(dead("")) for each in DEAD_TOPICS)
        raise CommandError(f"{name!r} has no dead letters; there are those of {known}.")
    return topic


def _none_of(service: str | None, total: int) -> str:
    return (
        f"No dead letters of {service!r} among the newest {FILTERED_MAX:,} of each partition; "
        f"{total:,} in all."
    )


def _row(letter: Letter) -> dict[str, Any]:
    """What is known of it; `None` where the message did not say."""
    told = letter.headers.get
    return {
        "id": str(letter.place),
        "topic": letter.place.topic,
        "partition": letter.place.partition,
        "offset": letter.place.offset,
        "at": letter.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "service": told("dead_service"),
        "reason": told("dead_reason"),
        "tenant": told("tenant"),
        "customer": told("customer"),
        "event": told("ce_id"),
        "action": told("ce_type"),
    }


def _table(found: list[Letter], total: int) -> Table:
    table = Table(box=SIMPLE, title="Dead letters")
    table.add_column("id", no_wrap=True)
    table.add_column("at (UTC)", no_wrap=True)
    for column in ("service", "event", "reason"):
        table.add_column(column, overflow="fold")
    for letter in found:
        row = _row(letter)
        table.add_row(
            row["id"],
            f"{letter.at:%Y-%m-%d %H:%M:%S}",
            printable(row["service"] or "-"),
            printable(_event(row)),
            printable(row["reason"] or "-"),
        )
    table.caption = f"{len(found):,} of {total:,}; `./laurel dead show ID` shows one"
    return table


def _event(row: dict[str, Any]) -> str:
    """`point_add e-17 of demo/c-1`, as far as the headers say."""
    event = " ".join(word for word in (row["action"], row["event"]) if word)
    customer = "/".join(word for word in (row["tenant"], row["customer"]) if word)
    return f"{event or '?'} of {customer}" if customer else event or "-"


def page(letter: Letter) -> Group:
    """All that is known of a letter."""
    headers = Table(box=None, show_header=False, pad_edge=False)
    headers.add_column(no_wrap=True)
    headers.add_column(overflow="fold")
    headers.add_row(Text("id", "bold"), str(letter.place))
    headers.add_row(Text("buried", "bold"), letter.at.isoformat(timespec="milliseconds"))
    key = letter.original.key()
    shown = key.decode(errors="backslashreplace") if isinstance(key, bytes) else key
    headers.add_row(Text("key", "bold"), printable(shown or "-"))
    for name, value in letter.headers.items():
        headers.add_row(printable(name), printable(value))
    return Group(headers, "", Text(f"{len(letter.value):,} bytes:", "bold"), *body(letter.value))


def body(value: bytes) -> list[Text]:
    """JSON with indents, else a hex dump; bounded, and says so where it leaves something out."""
    pretty = _pretty_json(value)
    whole = _dump(value) if pretty is None else pretty.splitlines()
    lines = whole[: LINES_MAX if pretty is not None else DUMPED_LINES_MAX]
    shown = [printable(line[:LINE_CHARACTERS_MAX]) for line in lines]
    if len(lines) < len(whole) or any(len(line) > LINE_CHARACTERS_MAX for line in lines):
        shown.append(Text("… not all of it: --raw writes every byte", "dim"))
    return shown


def _pretty_json(value: bytes) -> str | None:
    try:
        return json.dumps(json.loads(value), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None


def _dump(value: bytes) -> list[str]:
    """16 bytes a line, and one line more than is shown."""
    lines = []
    for start in range(0, min(len(value), DUMPED_A_LINE * (DUMPED_LINES_MAX + 1)), DUMPED_A_LINE):
        part = value[start : start + DUMPED_A_LINE]
        readable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):{DUMPED_A_LINE * 3}} {readable}")
    return lines


def printable(text: str) -> Text:
    """Whoever sent a message must not steer the operator's terminal: `\\x1b` instead of it."""
    return Text(
        "".join(
            character if character.isprintable() else character.encode("unicode_escape").decode()
            for character in text
        )
    )
