"""Lanes: many batches in flight without one customer's events overtaking each other.

Customers are spread over lanes and a lane has one batch in flight, so what travels at the same time
belongs to different customers. Pure: `sending` does the travelling.
"""

import zlib
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from cli.shopping import Line

BATCH_BYTES_MAX = 4 * 1024 * 1024
"""Half of what the gateway takes in one body."""


class Batch(NamedTuple):
    """Lines of one lane, in order."""

    lane: int
    lines: list[Line]


def lane_of(customer: str, lanes: int) -> int:
    """The same lane for a customer, always."""
    return zlib.crc32(customer.encode(errors="replace")) % lanes


class Lanes:
    """Sorts numbered lines into batches and knows which are still unanswered."""

    def __init__(self, lanes: int, batch_events: int, start: int) -> None:
        self._batch_events = batch_events
        self._filling: list[list[Line]] = [[] for _ in range(lanes)]
        self._filling_bytes = [0] * lanes
        self._unanswered: list[deque[int]] = [deque() for _ in range(lanes)]
        self._end = start

    @property
    def sent(self) -> int:
        """Every line before this place is answered; counted from the start of the source."""
        oldest = (numbers[0] for numbers in self._unanswered if numbers)
        return min(oldest, default=self._end)

    def put(self, index: int, line: Line) -> Iterator[Batch]:
        """Take the next line; gives the batches that are full with it."""
        lane = lane_of(line.customer, len(self._filling))
        if self._filling_bytes[lane] + len(line.body) > BATCH_BYTES_MAX:
            yield from self._close(lane)
        self._end = index + 1
        self._unanswered[lane].append(index)
        self._filling[lane].append(line)
        self._filling_bytes[lane] += len(line.body)
        if len(self._filling[lane]) >= self._batch_events:
            yield from self._close(lane)

    def skip(self, index: int) -> None:
        """A line that cannot be sent."""
        self._end = index + 1

    def rest(self) -> Iterator[Batch]:
        """What is left when the source has ended, full or not."""
        for lane in range(len(self._filling)):
            yield from self._close(lane)

    def answered(self, batch: Batch) -> None:
        """Every line of the lane's oldest batch has its answer."""
        for _ in batch.lines:
            self._unanswered[batch.lane].popleft()

    def _close(self, lane: int) -> Iterator[Batch]:
        if self._filling[lane]:
            yield Batch(lane, self._filling[lane])
            self._filling[lane], self._filling_bytes[lane] = [], 0
