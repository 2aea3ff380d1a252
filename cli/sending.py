"""Sending batches to the gateway until each event has an answer, always under the same ids."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import msgspec

from cli.client import problem_of
from cli.lanes import Batch, Lanes
from cli.pacing import PATIENCE_SECONDS, backoff, paced
from cli.problems import CommandError
from cli.shopping import Line
from cli.tally import Tally

CONNECT_SECONDS = 5.0
NAP_SECONDS = 0.01
"""Shorter pauses are saved up: the loop wakes up about a millisecond late each time."""
_AGAIN_STATUS = frozenset({500, 502, 503, 504})
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

    @property
    def headers(self) -> dict[str, str]:
        """Of each request."""
        prefer = {"Prefer": f"wait={self.wait_seconds}"} if self.wait_seconds else {}
        return {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/x-ndjson",
            **prefer,
        }


@dataclass(frozen=True, slots=True)
class _Try:
    """One request: an answer per event, or none at all and why."""

    items: list[dict[str, Any]]
    retry_after: str | None = None
    why: str = "the gateway asks to send some events again"
    limited: bool = False
    """Refused for nothing but the key's rate."""


class Loader:
    """Sends numbered lines; `lanes.sent` is the place below which all are answered."""

    def __init__(
        self,
        sending: Sending,
        tally: Tally,
        moved: Callable[[], None] = lambda: None,
        start: int = 0,
    ) -> None:
        self.lanes = Lanes(sending.lanes, sending.batch_events, start)
        self._sending = sending
        self._tally = tally
        self._moved = moved
        self._queues: list[asyncio.Queue[Batch | None]] = [
            asyncio.Queue(maxsize=1) for _ in range(sending.lanes)
        ]

    async def send(self, lines: Iterator[tuple[int, Line]]) -> None:
        """Returns when every line is answered. Raises `LoadStoppedError`."""
        limits = httpx2.Limits(max_connections=self._sending.lanes)
        timeout = httpx2.Timeout(self._sending.wait_seconds + 30, connect=CONNECT_SECONDS)
        async with httpx2.AsyncClient(
            limits=limits, timeout=timeout, headers=self._sending.headers, trust_env=False
        ) as http:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for queue in self._queues:
                        tasks.create_task(self._run(queue, http))
                    await self._feed(lines)
            except* LoadStoppedError as stopped:
                raise stopped.exceptions[0] from None

    async def _feed(self, lines: Iterator[tuple[int, Line]]) -> None:
        next_at = 0.0
        for index, line in lines:
            if line.problem:
                self.lanes.skip(index)
                self._tally.refuse("not_json", line.problem)
                continue
            delay, next_at = paced(next_at, time.monotonic(), 1, self._sending.rate)
            if delay > NAP_SECONDS:
                await asyncio.sleep(delay)
            for batch in self.lanes.put(index, line):
                await self._queues[batch.lane].put(batch)
        for batch in self.lanes.rest():
            await self._queues[batch.lane].put(batch)
        for queue in self._queues:
            await queue.put(None)

    async def _run(self, queue: "asyncio.Queue[Batch | None]", http: httpx2.AsyncClient) -> None:
        while (batch := await queue.get()) is not None:
            await self._deliver(batch.lines, http)
            self.lanes.answered(batch)
            self._moved()

    async def _deliver(self, lines: list[Line], http: httpx2.AsyncClient) -> None:
        left, attempt, give_up_at = lines, 0, time.monotonic() + PATIENCE_SECONDS
        while True:
            tried = await self._try(left, http)
            left = self._count(left, tried.items)
            if not left:
                self._tally.waiting = ""
                return
            if tried.limited:  # it works, only slower than we would: that is no reason to give up
                attempt, give_up_at = 0, time.monotonic() + PATIENCE_SECONDS
            elif time.monotonic() > give_up_at:
                raise LoadStoppedError(f"gave up after {PATIENCE_SECONDS:.0f} s: {tried.why}")
            self._tally.waiting = tried.why
            self._moved()
            luck = random.random()  # spreads retries, guards nothing
            await asyncio.sleep(backoff(attempt, tried.retry_after, luck))
            attempt += 1

    async def _try(self, lines: list[Line], http: httpx2.AsyncClient) -> _Try:
        body = b"\n".join(line.body for line in lines)
        try:
            response = await http.post(f"{self._sending.url}/v1/events/batch", content=body)
        except httpx2.TransportError as error:
            why = str(error) or type(error).__name__
            return _Try([], why=f"the gateway does not answer ({why})")
        retry_after = response.headers.get("retry-after")
        if response.status_code == 429:
            why = "the gateway takes no more events of this key for the moment"
            return _Try([], retry_after, why, limited=True)
        if response.status_code in _AGAIN_STATUS:
            return _Try([], retry_after, f"the gateway answers {response.status_code}")
        if response.is_error:
            problem = problem_of(response)
            reason = problem.get("detail") or problem.get("title")
            raise LoadStoppedError(f"{response.status_code} {problem.get('code', '')}: {reason}")
        items = msgspec.json.decode(response.content)["items"]
        if len(items) != len(lines):
            raise LoadStoppedError(f"the gateway answered {len(items)} of {len(lines)} events")
        return _Try(items, retry_after)

    def _count(self, lines: list[Line], items: list[dict[str, Any]]) -> list[Line]:
        """What is to be sent again."""
        if not items:
            return lines
        again = [item.get("code") in _AGAIN_CODES for item in items]
        for item, once_more in zip(items, again, strict=True):
            if not once_more:
                self._tally.count(item)
        return [line for line, once_more in zip(lines, again, strict=True) if once_more]
