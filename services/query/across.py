"""Decisions of a tenant across partitions, page by page, in the order of their recording."""

import asyncio
import heapq
from collections.abc import Sequence
from typing import NamedTuple

from pymongo.asynchronous.cursor import AsyncCursor

from services.query.paging import Decisions, Sort
from shared.contracts.decisions import number
from shared.runtime.ports import Document

BATCH_DECISIONS_MAX = 100
"""Read ahead of each partition, of which most pages need a few only."""


class Page(NamedTuple):
    """Decisions in order, the last number taken by partition, and whether there are more."""

    decisions: list[Document]
    bounds: list[int]
    more: bool


async def page(
    source: Decisions,
    match: Document,
    partitions: Sequence[int],
    sort: Sort,
    bounds: Sequence[int],
    limit: int,
) -> Page:
    """The next `limit` decisions of these partitions.

    `_id` orders each partition by time, so each is read from its bound only as far as needed.
    `bounds` are the former page's, none at the start. What is recorded later stays out of a list
    that goes back in time, however long somebody pages through it.
    """
    cursors = [
        _behind(source, match, partition, sort, bounds[index] if bounds else None).limit(limit + 1)
        for index, partition in enumerate(partitions)
    ]
    try:
        heads = await asyncio.gather(*(anext(cursor, None) for cursor in cursors))
        last = list(bounds) or [_start(*each, sort) for each in zip(partitions, heads, strict=True)]
        return await _merge(cursors, heads, last, sort, limit)
    finally:
        await asyncio.gather(*(cursor.close() for cursor in cursors))


async def _merge(
    cursors: Sequence[AsyncCursor[Document]],
    heads: Sequence[Document | None],
    bounds: list[int],
    sort: Sort,
    limit: int,
) -> Page:
    heap = [(_key(head, sort), index, head) for index, head in enumerate(heads) if head is not None]
    heapq.heapify(heap)
    taken: list[Document] = []
    while heap and len(taken) < limit:
        _, index, decision = heapq.heappop(heap)
        taken.append(decision)
        bounds[index] = int(decision["_id"])
        if (following := await anext(cursors[index], None)) is not None:
            heapq.heappush(heap, (_key(following, sort), index, following))
    return Page(taken, bounds, bool(heap))


def _behind(
    source: Decisions, match: Document, partition: int, sort: Sort, bound: int | None
) -> AsyncCursor[Document]:
    within = {"$gte": number(partition, 0), "$lt": number(partition + 1, 0)}
    behind: Document = {} if bound is None else {"_id": {sort.behind: bound}}
    found = source.find({"$and": [match, {"_id": within}, behind]}, batch_size=BATCH_DECISIONS_MAX)
    return found.sort("_id", sort.direction)


def _start(partition: int, head: Document | None, sort: Sort) -> int:
    """The bound of a partition of which nothing was taken yet: just before its first decision."""
    if not sort.descending:
        return number(partition, 0) - 1
    return int(head["_id"]) + 1 if head else number(partition, 0)


def _key(decision: Document, sort: Sort) -> tuple[int, int]:
    at = round(decision["at"].timestamp() * 1000)
    return (-at, -decision["_id"]) if sort.descending else (at, int(decision["_id"]))
