"""What is wrong with a value that its Struct refuses: each member's fault, its place, in words.

Only runs once something is known to be wrong, so it may be slow; msgspec stops at the first fault.
"""

import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import fields

from services.ingest.domain.refusal import Fault, Path

_PLACE = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_EXPECTED = re.compile(r"Expected `(\w+)[^`]*`")
_WORDS = {
    "str": "must be a string",
    "int": "must be an integer",
    "bool": "must be true or false",
    "decimal": "must be an amount: a number, or a string that holds one",
    "datetime": "must be an RFC 3339 time, as in 2026-03-01T09:30:00Z",
    "array": "must be a list",
    "object": "must be an object",
}


def faults(members: object, kind: type[Struct], at: Path = ()) -> Iterator[Fault]:
    """The faults of `members` as a `kind`: at most one for each of its fields, in their order."""
    if not isinstance(members, dict):
        yield Fault(at, _WORDS["object"])
        return
    known = fields(kind)
    for field in known:
        if field.name in members:
            yield from _member(members[field.name], field.type, (*at, field.name))
        elif field.default is NODEFAULT and field.default_factory is NODEFAULT:
            yield Fault((*at, field.name), "is required")
    if kind.__struct_config__.forbid_unknown_fields:
        names = {field.name for field in known}
        yield from (
            Fault((*at, name), "is no known member") for name in members if name not in names
        )


def _member(value: object, annotation: Any, at: Path) -> Iterator[Fault]:
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError as error:
        message = str(error)
        place = _PLACE.search(message)
        steps = _STEP.findall(place.group(1)) if place else ()
        inner = tuple(name or int(index) for name, index in steps)
        message = message[: place.start()] if place else message
        if message.startswith("Object missing required field"):
            yield Fault((*at, *inner, message.split("`")[1]), "is required")
        else:
            yield Fault((*at, *inner), in_words(message, annotation))


def in_words(message: str, annotation: Any) -> str:
    """The message of msgspec as the end of a sentence that begins with the member's name."""
    if "matching regex" in message:
        return _described(annotation) or "has characters that are not allowed"
    if "RFC3339" in message or "timezone" in message:
        return _WORDS["datetime"]
    if " of length " in message:
        return f"must have {_bounds(message)} characters"
    if ">=" in message or "<=" in message:
        return f"must be {_bounds(message)}"
    expected = _EXPECTED.match(message)
    return _WORDS.get(expected.group(1), message) if expected else message


def _bounds(message: str) -> str:
    number = message.rsplit(" ", 1)[1]
    return f"at least {number}" if ">=" in message else f"at most {number}"


def _described(annotation: Any) -> str:
    """What the contract says about a text that a pattern refuses."""
    for part in get_args(annotation):
        if isinstance(part, Meta) and part.description:
            return f"must have {part.description}"
        if found := _described(part):
            return found
    return ""
