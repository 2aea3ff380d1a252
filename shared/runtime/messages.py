"""Messages in CloudEvents' binary mode: headers to and from text, values to events."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache

import msgspec

from shared.contracts import actions
from shared.contracts.events import Event, Logged
from shared.contracts.outcomes import INSTANTS_KEPT_MAX
from shared.runtime.ports import Dead, Headers, Input, Link, Message

TICK = "tick"


class Unreadable(Exception):
    """A message that no one can make sense of; the text says why. It goes to the dead topic."""


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Time as an event: `as_of` in UTC, and the program versions of the tenants at that moment."""

    as_of: datetime
    previous: datetime | None = None
    programs: dict[str, int] = {}


_instant = lru_cache(INSTANTS_KEPT_MAX)(datetime.fromisoformat)
"""A batch has one stamp, and each of its messages says it."""
_logged = msgspec.json.Decoder(Logged)
_tick = msgspec.json.Decoder(Tick)
_data = {action: msgspec.json.Decoder(data) for action, data in actions.DATA.items()}


KafkaHeaders = Mapping[str, str | bytes | None] | Iterable[tuple[str, str | bytes | None]] | None
"""What the client types say a message's headers are; it hands over pairs."""


def text_headers(headers: KafkaHeaders) -> dict[str, str]:
    """Kafka headers → text by name; one that is not UTF-8 is left out, so it counts as missing."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    try:
        return {name: value.decode() for name, value in pairs}  # type: ignore[union-attr]
    except (AttributeError, UnicodeDecodeError):  # some are no bytes, or no UTF-8
        return _readable(pairs)


def _readable(pairs: Iterable[tuple[str, str | bytes | None]]) -> dict[str, str]:
    read: dict[str, str] = {}
    for name, value in pairs:
        if isinstance(value, bytes):
            try:
                read[name] = value.decode()
            except UnicodeDecodeError:
                continue
        elif isinstance(value, str):
            read[name] = value
    return read


def bytes_headers(headers: Headers) -> list[tuple[str, bytes]]:
    """Text headers → what the producer takes."""
    return [(name, value.encode()) for name, value in headers.items()]


def log_link(headers: Headers) -> Link | None:
    """The log is dense: the number before `seq` is `seq - 1`."""
    try:
        seq = int(headers["seq"])
        return Link(seq, seq - 1, headers["lineage"])
    except (KeyError, ValueError):
        return None


def facts_link(headers: Headers) -> Link | None:
    """Facts say their own number and the one before it in the partition."""
    try:
        return Link(int(headers["decision"]), int(headers["previous"]), headers["lineage"])
    except (KeyError, ValueError):
        return None


INBOX_INPUT = Input("events.inbox")
LOG_INPUT = Input("events.log", log_link)


def facts_input(service: str) -> Input:
    """The facts that `service` announces."""
    return Input(f"{service}.facts", facts_link)


def is_tick(message: Message) -> bool:
    """Whether a message of the log is a tick."""
    return message.headers.get("ce_type") == TICK


def read_tick(message: Message) -> Tick:
    """A tick of the log. Raises `Unreadable`."""
    try:
        return _tick.decode(message.value)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"tick: {error}") from error


def read_event(message: Message) -> Event:
    """A message of the log → the event, its data typed. Raises `Unreadable`."""
    headers = message.headers
    try:
        logged = _logged.decode(message.value)
        return Event(
            id=logged.id,
            tenant=headers["tenant"],
            customer=logged.customer,
            action=logged.action,
            account=logged.account,
            time=_instant(headers["ce_time"]),
            recorded_at=_instant(headers["recorded_at"]),
            program=int(headers["program"]),
            partition=message.partition,
            seq=int(headers["seq"]),
            data=_data[logged.action].decode(logged.data),
            digest=content_digest(logged),
            reply_to=headers.get("reply_to", ""),
            cause=headers.get("cause", ""),
            hops=int(headers.get("hops", "0")),
        )
    except (KeyError, ValueError, RecursionError) as error:  # MsgspecError is a ValueError
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def read_events(messages: Iterable[Message]) -> tuple[list[tuple[Event, Message]], list[Dead]]:
    """The events among messages of the log, and what cannot be read. Ticks are no events."""
    events, letters = [], []
    for message in messages:
        if is_tick(message):
            continue
        try:
            events.append((read_event(message), message))
        except Unreadable as error:
            letters.append(Dead(message, str(error)))
    return events, letters


def content_digest(logged: Logged) -> bytes:
    """16 bytes of SHA-256 over account and data: what a repeated checkout is compared by."""
    return hashlib.sha256(logged.account.encode() + b"\0" + bytes(logged.data)).digest()[:16]
