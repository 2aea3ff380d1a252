"""What members may be at any depth: bounded numbers, texts and nesting; no names of persons."""

from decimal import Decimal
from typing import Any

from services.ingest.domain.refusal import Path
from shared.contracts.events import (
    DEPTH_MAX,
    INTEGER_END,
    PERSONAL_ATTRIBUTES,
    TEXT_BYTES_MAX,
)

NUMBER_CHARACTERS_MAX = 64
"""A double has 17 digits; a longer number is no measurement, and cheap to send but not to write."""
NAMES_A_PERSON = PERSONAL_ATTRIBUTES - {"gender", "country", "language", "custom"}
"""Refused inside data, too: the other attributes may there describe a product or a shop."""

TOO_DEEP = f"is nested deeper than {DEPTH_MAX} levels"
TOO_LARGE = "is out of range: numbers are below 2^53"
PERSONAL = "names a person: refused until personal attributes are encrypted"

_DATA_LEVEL = 2
"""The event is level 1, its data level 2; names of persons there are told one by one."""


class OutOfBounds(ValueError):  # it names the state, as its siblings do
    """JSON, but beyond a limit: the text says which, `path` where (names and indexes)."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.path: Path = ()

    def inside(self, step: str | int) -> "OutOfBounds":
        """The same, seen from the value that holds it under `step`."""
        self.path = (step, *self.path)
        return self


def tidy(members: dict[str, Any], level: int = 1) -> None:
    """Drops `null` members and writes whole fractions as integers (`2.0` → 2), in place, all over.

    Raises `OutOfBounds` for a number of 2^53 or more, for more than 32 levels, and for a member
    that names a person inside the data.
    """
    nulls = False
    name: str | None = None
    try:
        _enter(members, level)
        for name, value in members.items():
            kind = type(value)
            if kind is str or (kind is int and -INTEGER_END < value < INTEGER_END):
                continue
            if value is None:
                nulls = True
            elif kind is not bool:
                members[name] = _tidied(value, level)
    except OutOfBounds as error:
        raise (error if name is None else error.inside(name)) from None
    if nulls:
        for name in [name for name, value in members.items() if value is None]:
            del members[name]


def _enter(members: dict[str, Any], level: int) -> None:
    if level > _DATA_LEVEL:
        if level > DEPTH_MAX:
            raise OutOfBounds(TOO_DEEP)
        if not NAMES_A_PERSON.isdisjoint(members):
            raise OutOfBounds(PERSONAL).inside(min(NAMES_A_PERSON.intersection(members)))


def _tidied(value: Any, level: int) -> Any:
    """A container tidied, a fraction in its one form; an integer only comes here too large."""
    kind = type(value)
    if kind is dict:
        tidy(value, level + 1)
    elif kind is list:
        _tidy_list(value, level + 1)
    elif kind is Decimal:
        return number(value)
    else:
        raise OutOfBounds(TOO_LARGE)
    return value


def _tidy_list(values: list[Any], level: int) -> None:
    if level > DEPTH_MAX:
        raise OutOfBounds(TOO_DEEP)
    index = 0
    try:
        for index, value in enumerate(values):
            kind = type(value)
            if kind is dict:
                tidy(value, level + 1)
            elif not (
                kind is str
                or value is None
                or kind is bool
                or (kind is int and -INTEGER_END < value < INTEGER_END)
            ):
                values[index] = _tidied(value, level)
    except OutOfBounds as error:
        raise error.inside(index) from None


def number(value: Decimal) -> int | Decimal:
    """One way to write each number, so that equal ones are equal content: `1.10` → 1.1, `2.0` → 2.

    Raises `OutOfBounds` from 2^53 on, and where it takes more than 64 characters to write it out.
    """
    if not -INTEGER_END < value < INTEGER_END:
        raise OutOfBounds(TOO_LARGE)
    if len(str(value)) > NUMBER_CHARACTERS_MAX or -value.adjusted() > NUMBER_CHARACTERS_MAX:
        raise OutOfBounds(f"takes more than {NUMBER_CHARACTERS_MAX} characters")
    if value == value.to_integral_value():
        return int(value)
    sign, digits, exponent = value.as_tuple()
    while digits[-1] == 0:
        digits, exponent = digits[:-1], int(exponent) + 1
    return Decimal((sign, digits, int(exponent)))


def long_text(value: object) -> None:
    """Raises `OutOfBounds` where a text or a name has more than 64 KiB in UTF-8."""
    if isinstance(value, str):
        if len(value.encode()) > TEXT_BYTES_MAX:
            raise OutOfBounds(f"is longer than {TEXT_BYTES_MAX} bytes")
    elif isinstance(value, dict):
        for name, member in value.items():
            long_text(name)
            _long_text_inside(name, member)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _long_text_inside(index, item)


def _long_text_inside(step: str | int, value: object) -> None:
    try:
        long_text(value)
    except OutOfBounds as error:
        raise error.inside(step) from None
