"""Comparing: two sets of collections, document by document, byte for byte."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import zip_longest
from typing import Any, NamedTuple

import bson
from bson.raw_bson import RawBSONDocument

from shared.contracts.outcomes import instant
from shared.runtime.mongo import CODEC
from shared.runtime.ports import Document

SAID_MAX = 3
"""Of the members that differ, as many are named."""
SAID_CHARACTERS_MAX = 60

Raw = Iterator[RawBSONDocument]


class Difference(NamedTuple):
    """A document that is not the same in both sets. `customer` is `tenant/customer`; `what` says
    what is stored, and what it is when decided again."""

    collection: str
    id: str
    customer: str
    what: str

    def __str__(self) -> str:
        return f"{self.collection} {self.id!r} of {self.customer}: {self.what}"


def differences(collection: str, live: Raw, rebuilt: Raw) -> Iterator[Difference]:
    """Of two streams of documents, both in the order of their `_id`s."""
    for one, other in _unequal(live, rebuilt):
        if one is not None and other is not None:
            what = unlike(_decoded(one), _decoded(other))
            yield _difference(collection, one, what)
        elif one is not None:
            yield _difference(collection, one, "is stored, but is not made again")
        elif other is not None:
            yield _difference(collection, other, "is missing, but is made again")


Pair = tuple[RawBSONDocument | None, RawBSONDocument | None]


def _unequal(live: Raw, rebuilt: Raw) -> Iterator[Pair]:
    one, other = next(live, None), next(rebuilt, None)
    while one is not None or other is not None:
        if one is not None and other is not None and one.raw == other.raw:
            one, other = next(live, None), next(rebuilt, None)
            continue
        order = _compared(one, other)
        yield (one if order <= 0 else None), (other if order >= 0 else None)
        one = next(live, None) if order <= 0 else one
        other = next(rebuilt, None) if order >= 0 else other


def unlike(stored: Document, rebuilt: Document) -> str:
    """The first members in which they differ; two of the same members differ in how they are
    written: the order of members, or the width of numbers."""
    wrong = [
        f"{path} is {_said(one)}, decided again {_said(other)}"
        for path, one, other in _paths(stored, rebuilt)
    ]
    if not wrong:
        return "has the same members, written in another way"
    left = len(wrong) - SAID_MAX
    return ", ".join(wrong[:SAID_MAX]) + (f", and {left} members more" if left > 0 else "")


NOTHING = object()


def _paths(stored: Any, rebuilt: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(stored, Mapping) and isinstance(rebuilt, Mapping):
        for name in dict.fromkeys((*stored, *rebuilt)):
            below = f"{path}.{name}" if path else str(name)
            yield from _paths(stored.get(name, NOTHING), rebuilt.get(name, NOTHING), below)
    elif isinstance(stored, list) and isinstance(rebuilt, list):
        for index, pair in enumerate(zip_longest(stored, rebuilt, fillvalue=NOTHING)):
            yield from _paths(*pair, f"{path}.{index}")
    elif type(stored) is not type(rebuilt) or stored != rebuilt:
        yield path, stored, rebuilt


def _said(value: object) -> str:
    if value is NOTHING:
        return "not there"
    if isinstance(value, datetime):
        return instant(value)
    text = value.hex() if isinstance(value, bytes) else repr(value)
    return text if len(text) <= SAID_CHARACTERS_MAX else text[:SAID_CHARACTERS_MAX] + "…"


def _compared(one: RawBSONDocument | None, other: RawBSONDocument | None) -> int:
    """Which `_id` comes first: below 0 the first one's, above 0 the second one's, 0: the same."""
    if one is None or other is None:
        return 1 if one is None else -1
    first, second = _order(one["_id"]), _order(other["_id"])
    return (first > second) - (first < second)


def _order(id_: object) -> tuple[int, object]:
    """MongoDB puts numbers before texts, and anything else is none of ours."""
    if isinstance(id_, int | float):
        return 0, id_
    return (1, id_) if isinstance(id_, str) else (2, repr(id_))


def _difference(collection: str, of: RawBSONDocument, what: str) -> Difference:
    document = _decoded(of)
    return Difference(collection, str(document["_id"]), customer_of(collection, document), what)


def customer_of(collection: str, document: Document) -> str:
    """Whose document it is."""
    if collection == "lots":
        return str(document.get("customer"))
    if collection == "states":
        return str(document["_id"])
    if collection == "closed":
        return str(document["_id"]).partition("\x1f")[0]
    return f"{document.get('tenant')}/{document.get('customer')}"


def _decoded(document: RawBSONDocument) -> Document:
    return bson.decode(document.raw, CODEC)


def ordered(documents: Iterable[RawBSONDocument]) -> Raw:
    """By their `_id`s."""
    return iter(sorted(documents, key=lambda document: _order(document["_id"])))
