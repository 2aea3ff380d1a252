"""Money and instants of an event's data, in the one way in which the log writes them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from services.ingest.domain.refusal import Fault, Path
from shared.contracts.money import EXPONENTS, as_text, minor_units
from shared.contracts.outcomes import instant

AMOUNTS_REMEMBERED = 65_536
"""Prices repeat: remembered ones cost 0.1 µs, new ones 3."""

NO_YEAR = "is outside of the years 1 to 9999 in UTC"

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
"""JSON's numbers. Decimal alone would also take `1_000`, blanks, other scripts' digits and NaN."""


class Places(Struct, frozen=True):
    """Which members of a data Struct hold money, which an instant, and which lists hold such."""

    money: tuple[str, ...]
    instants: tuple[str, ...]
    lists: tuple[tuple[str, "Places"], ...]


def places(kind: type[Struct]) -> Places:
    """Read from the Struct's annotations, once per action."""
    money, instants, lists = [], [], []
    for field in fields(kind):
        types = tuple(_plain(field.type))
        if Decimal in types:
            money.append(field.name)
        if datetime in types:
            instants.append(field.name)
        lists += [
            (field.name, places(item))
            for one in types
            if get_origin(one) is list
            for item in get_args(one)
            if isinstance(item, type) and issubclass(item, Struct)
        ]
    return Places(tuple(money), tuple(instants), tuple(lists))


def _plain(annotation: Any) -> Iterator[Any]:
    """`Annotated[Decimal, …] | None` → Decimal, None."""
    if get_origin(annotation) is None or get_origin(annotation) is list:
        yield annotation
    elif hasattr(annotation, "__metadata__"):
        yield from _plain(annotation.__origin__)
    else:
        for part in get_args(annotation):
            yield from _plain(part)


def has_money(data: dict[str, Any], where: Places) -> bool:
    """Whether any amount is there, so that a currency is needed."""
    return any(name in data for name in where.money) or any(
        has_money(item, inner) for name, inner in where.lists for item in data.get(name, ())
    )


@lru_cache(maxsize=AMOUNTS_REMEMBERED)
def amount(text: str, currency: str) -> str:
    """`"12.5"` EUR → `"12.50"`. Raises `ValueError` with what is wrong."""
    if not _NUMBER.fullmatch(text):
        raise ValueError("must be an amount: a number, or a string that holds one")
    return as_text(minor_units(Decimal(text), currency), currency)


def write_money(data: dict[str, Any], where: Places, currency: str, at: Path) -> list[Fault]:
    """Every amount → text with all digits of `currency`, in place; gives the faults of the others.

    An unknown currency is the one fault.
    """
    if currency not in EXPONENTS:
        return [Fault((*at, "currency"), "is no ISO 4217 currency")]
    found: list[Fault] = []
    _write_amounts(data, where.money, currency, at, found)
    for name, inner in where.lists:
        for index, item in enumerate(data.get(name, ())):
            _write_amounts(item, inner.money, currency, (*at, name, index), found)
    return found


def _write_amounts(
    members: dict[str, Any], names: tuple[str, ...], currency: str, at: Path, found: list[Fault]
) -> None:
    for name in names:
        value = members.get(name)
        if value is not None:
            try:
                members[name] = amount(value if type(value) is str else str(value), currency)
            except ValueError as error:
                found.append(Fault((*at, name), str(error)))


def without_currency(data: dict[str, Any], where: Places) -> dict[str, Any]:
    """A copy without it, amounts as plain decimals (`"12.5"`): what a client meant that named none.

    The program's currency of the day must not change what the content is.
    """
    copy = {name: value for name, value in data.items() if name != "currency"}
    for name in where.money:
        if "." in copy.get(name, ""):
            copy[name] = copy[name].rstrip("0").rstrip(".")
    for name, inner in where.lists:
        if name in copy:
            copy[name] = [without_currency(item, inner) for item in copy[name]]
    return copy


def write_instants(data: dict[str, Any], where: Places, at: Path) -> list[Fault]:
    """Every instant → UTC with milliseconds, in place; gives the faults of the others."""
    found = []
    for name in where.instants:
        if name in data:
            try:
                data[name] = utc(msgspec.convert(data[name], datetime))
            except OverflowError:
                found.append(Fault((*at, name), NO_YEAR))
    return found


def utc(value: datetime) -> str:
    """RFC 3339 UTC, cut to milliseconds. Raises `OverflowError` where UTC leaves the calendar."""
    if value.tzinfo is UTC and not value.microsecond:  # nearly all, and 1 µs faster
        text: str = msgspec.to_builtins(value)
        return text
    return instant(value)
