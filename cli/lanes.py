"""Sending many events at once without letting one customer's events overtake each other.

Customers are spread over lanes; a lane sends one batch at a time, so whatever is in flight
together belongs to different customers.
"""

import asyncio
import random
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec

from cli.client import problem_of
from cli.pacing import PATIENCE_SECONDS, backoff, paced
from cli.problems import CommandError
from cli.shopping import Line
from cli.tally import Tally

BATCH_BYTES_MAX = 4 * 1024 * 1024
"""Half of what the gateway takes in one body."""
CONNECT_SECONDS = 5.0
NAP_SECONDS = 0.01
"""Shorter pauses are saved up: the loop wakes up about a millisecond late each time."""
_AGAIN_STATUS = frozenset({429, 500, 502, 503, 504})
_AGAIN_CODES = frozenset({"rate_limited", "unavailable", "internal"})
"""Of one event in a batch: the same event, same id, may be sent again."""


class LoadStoppedError(CommandError):
    """The gateway refuses to take anything, or has been away for too long."""


@dataclass(frozen=True, slots=True)
class Sending:
    """Where to and how fast. `wait_seconds` 0: a batch is answered once it is queued."""

    url: str
    key: str
    lanes: int = 8
    batch: int = 250
    rate: float | None = None
    """Events per second at most."""
    wait_seconds: int = 30

    @property
    def batch_events(self) -> int:
        """A slow rate gets small batches: ten a second rather than one now and then."""
        return self.batch if self.rate is None else max(1, min(self.batch, int(self.rate / 10)))


def lane_of(customer: str, lanes: int) -> int:
    """The same lane for a customer, always."""
    return zlib.crc32(customer.encode(errors="replace")) % lanes


@dataclass(slots=True)
class _Lane:
    batches: "asyncio.Queue[list[Line] | None]"
    filling: list[Line] = field(default_factory=list)
    filling_bytes: int = 0
    unanswered: deque[int] = field(default_factory=deque)


class Loader:
    """Sends numbered events through lanes; `sent` is the place below which all are answered."""

    def __init__(
        self,
        sending: Sending,
        tally: Tally,
        moved: Callable[[], None] = lambda: None,
        start: int = 0,
    ) -> None:
        self._sending = sending
        self._tally = tally
        self._moved = moved
        self._lanes = [_Lane(asyncio.Queue(maxsize=1)) for _ in range(sending.lanes)]
        self._end = start

    @property
    def sent(self) -> int:
        """Counted from the start of the source."""
        return min(
            (lane.unanswered[0] for lane in self._lanes if lane.unanswered), default=self._end
        )

    async def send(self, lines: Iterator[tuple[int, Line]]) -> None:
        """Returns when every line is answered. Raises `LoadStoppedError`."""
        limits = httpx2.Limits(max_connections=self._sending.lanes)
        timeout = httpx2.Timeout(self._sending.wait_seconds + 30, connect=CONNECT_SECONDS)
        async with httpx2.AsyncClient(limits=limits, timeout=timeout, trust_env=False) as http:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for lane in self._lanes:
                        tasks.create_task(self._run(lane, http))
                    await self._feed(lines)
            except* LoadStoppedError as stopped:
                raise stopped.exceptions[0] from None

    async def _feed(self, lines: Iterator[tuple[int, Line]]) -> None:
        next_at = 0.0
        for index, line in lines:
            self._end = index + 1
            if line.problem:
                self._tally.refuse("not_json", line.problem)
                continue
            delay, next_at = paced(next_at, time.monotonic(), 1, self._sending.rate)
            if delay > NAP_SECONDS:
                await asyncio.sleep(delay)
            await self._hand_over(index, line)
        for lane in self._lanes:
            await self._close_batch(lane)
            await lane.batches.put(None)

    async def _hand_over(self, index: int, line: Line) -> None:
        lane = self._lanes[lane_of(line.customer, len(self._lanes))]
        if lane.filling_bytes + len(line.body) > BATCH_BYTES_MAX:
            await self._close_batch(lane)
        lane.unanswered.append(index)
        lane.filling.append(line)
        lane.filling_bytes += len(line.body)
        if len(lane.filling) >= self._sending.batch_events:
            await self._close_batch(lane)

    async def _close_batch(self, lane: _Lane) -> None:
        if lane.filling:
            await lane.batches.put(lane.filling)
            lane.filling, lane.filling_bytes = [], 0

    async def _run(self, lane: _Lane, http: httpx2.AsyncClient) -> None:
        while (batch := await lane.batches.get()) is not None:
            await self._deliver(batch, http)
            for _ in batch:
                lane.unanswered.popleft()
            self._moved()

    async def _deliver(self, batch: list[Line], http: httpx2.AsyncClient) -> None:
        """The same events under the same ids until each has an answer."""
        left, attempt, give_up_at = batch, 0, time.monotonic() + PATIENCE_SECONDS
        while True:
            answered, retry_after, why = await self._try(left, http)
            left = self._unanswered(left, answered)
            if not left:
                self._tally.waiting = ""
                return
            if time.monotonic() > give_up_at:
                raise LoadStoppedError(f"gave up after {PATIENCE_SECONDS:.0f} s: {why}")
            self._tally.retries += 1
            self._tally.waiting = why
            self._moved()
            luck = random.random()  # noqa: S311  # spreads retries, guards nothing
            await asyncio.sleep(backoff(attempt, retry_after, luck))
            attempt += 1

    async def _try(
        self, batch: list[Line], http: httpx2.AsyncClient
    ) -> tuple[list[dict[str, Any]], str | None, str]:
        """(an answer per event, or none at all; `Retry-After`; why not all are answered)."""
        headers = {
            "Authorization": f"Bearer {self._sending.key}",
            "Content-Type": "application/x-ndjson",
        }
        if self._sending.wait_seconds:
            headers["Prefer"] = f"wait={self._sending.wait_seconds}"
        body = b"\n".join(line.body for line in batch)
        try:
            response = await http.post(
                self._sending.url + "/v1/events/batch", content=body, headers=headers
            )
        except httpx2.TransportError as error:
            return [], None, f"the gateway does not answer ({str(error) or type(error).__name__})"
        retry_after = response.headers.get("retry-after")
        if response.status_code in _AGAIN_STATUS:
            return [], retry_after, f"the gateway answers {response.status_code}"
        if response.is_error:
            problem = problem_of(response)
            reason = problem.get("detail") or problem.get("title")
            raise LoadStoppedError(f"{response.status_code} {problem.get('code', '')}: {reason}")
        items = msgspec.json.decode(response.content)["items"]
        if len(items) != len(batch):
            raise LoadStoppedError(f"the gateway answered {len(items)} of {len(batch)} events")
        return items, retry_after, "the gateway asks to send some events again"

    def _unanswered(self, batch: list[Line], items: list[dict[str, Any]]) -> list[Line]:
        if not items:
            return batch
        again = [item.get("code") in _AGAIN_CODES for item in items]
        for item, once_more in zip(items, again, strict=True):
            if not once_more:
                self._tally.count(item)
        return [line for line, once_more in zip(batch, again, strict=True) if once_more]
