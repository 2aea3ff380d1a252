"""Decisions of one customer, page by page, in any order that a list offers."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pymongo.asynchronous.collection import AsyncCollection

from services.query.streams import CHANGES
from shared.runtime.ports import Document

Decisions = AsyncCollection[Document]
Value = int | str
Place = tuple[Value, int, int]
"""What tells a decision from all others in its list: what it is ordered by, its number, its source
(two owners may have the same number)."""

RECORDED = "recorded_at"
"""The order of the log: stamps never go back within a partition, so `_id` gives it by its index."""

_SIGNED_POINTS = {
    "$multiply": [
        {"$ifNull": ["$$this.points", 0]},
        {
            "$switch": {
                "branches": [
                    {"case": {"$eq": ["$$this.type", kind]}, "then": sign}
                    for kind, sign in CHANGES.items()
                ],
                "default": 0,
            }
        },
    ]
}
ORDERS: Mapping[str, object] = {
    "time": {"$toLong": "$time"},
    "checkout_at": {"$toLong": "$time"},
    "action": "$action",
    "points": {"$sum": {"$map": {"input": "$facts", "in": _SIGNED_POINTS}}},
}
"""The other orders: all decisions of the customer are read, of which a page is kept."""


class Found(NamedTuple):
    """A decision in an ordered list."""

    place: Place
    document: Document

    @property
    def number(self) -> int:
        """The decision's."""
        return self.place[1]


@dataclass(frozen=True, slots=True)
class Sort:
    """A list's order: `RECORDED` or a word of `ORDERS`; with `-` before it descending."""

    by: str
    descending: bool

    @classmethod
    def parse(cls, text: str) -> "Sort":
        """`-time` → by `time`, descending."""
        return cls(text.removeprefix("-"), text.startswith("-"))

    @property
    def direction(self) -> int:
        """As MongoDB says it."""
        return -1 if self.descending else 1

    @property
    def behind(self) -> str:
        """The operator for what comes after a value."""
        return "$lt" if self.descending else "$gt"


def including(number: int, sort: Sort) -> Place:
    """The place just before a decision, in the order of the log."""
    return (number, number, 1 if sort.descending else -1)


async def page(
    sources: Sequence[Decisions], match: Document, sort: Sort, after: Place | None, limit: int
) -> list[Found]:
    """The next `limit` decisions behind the place `after`, of all sources together."""
    pages = [
        _of_source(source, [{"$match": match}, *_steps(sort, after, index, limit)], index)
        for index, source in enumerate(sources)
    ]
    every = [found for some in await asyncio.gather(*pages) for found in some]
    return sorted(every, key=lambda found: found.place, reverse=sort.descending)[:limit]


async def count(sources: Sequence[Decisions], match: Document) -> int:
    """How many there are in all."""
    return sum(await asyncio.gather(*(source.count_documents(match) for source in sources)))


async def _of_source(source: Decisions, steps: Sequence[Document], index: int) -> list[Found]:
    found = await source.aggregate(steps)
    return [Found(_place(decision, index), decision) async for decision in found]


def _place(decision: Document, source: int) -> Place:
    value = decision.pop("_value", decision["_id"])
    number = int(decision["_id"])
    return (value if isinstance(value, str) else int(value), number, source)


def _steps(sort: Sort, after: Place | None, source: int, limit: int) -> list[Document]:
    order = {"_id": sort.direction}
    steps: list[Document] = []
    if sort.by == RECORDED:
        if after:
            steps.append({"$match": {"_id": _behind(sort, after, source)}})
    else:
        order = {"_value": sort.direction, **order}
        steps.append({"$set": {"_value": ORDERS[sort.by]}})
        if after:
            same = {"_value": after[0], "_id": _behind(sort, after, source)}
            steps.append({"$match": {"$or": [{"_value": {sort.behind: after[0]}}, same]}})
    return [*steps, {"$sort": order}, {"$limit": limit}]


def _behind(sort: Sort, after: Place, source: int) -> Document:
    _, last, of = after
    comes_later = source < of if sort.descending else source > of
    return {f"{sort.behind}e" if comes_later else sort.behind: last}
