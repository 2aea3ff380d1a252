"""How fast each key may send: a token bucket for every credential, and the fields that tell of it.

The fields are those of draft-ietf-httpapi-ratelimit-headers-10; their quota unit is the event.
"""

import math
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.ingest import measures
from shared.runtime.http import Credential, Problem

Clock = Callable[[], float]
"""Seconds that never go back, from wherever they count."""
Fields = Sequence[tuple[bytes, bytes]]

_FIELDS = "laurel.rate_limit"
"""Where a request's scope keeps the fields of its answer."""


class Bucket:
    """Fills by `rate` events a second up to `size`.

    What is larger than the bucket passes when it is full and leaves a debt: no batch has to be cut
    for it, and over time the rate holds all the same.
    """

    __slots__ = ("_at", "_clock", "_events", "_policy", "_rate", "_size")

    def __init__(self, rate: int, size: int, clock: Clock) -> None:
        self._rate, self._size, self._clock = rate, size, clock
        self._events: float = size
        self._at = clock()
        window = math.ceil(size / rate)  # an empty one is full after it
        self._policy = (b"ratelimit-policy", b'"default";q=%d;w=%d' % (size, window))

    def take(self, events: int, held: int = 0) -> float:
        """Takes `events` and returns 0, or takes none and returns the seconds until it could.

        `held` of them were taken before, for the same request; where it may not have the others,
        they are put back.
        """
        now = self._clock()
        there = min(self._size, self._events + (now - self._at) * self._rate) + held
        self._at = now
        missing = min(events, self._size) - there
        if missing > 0:
            self._events = there
            return missing / self._rate
        self._events = there - events
        return 0.0

    def fields(self) -> Fields:
        """The policy, what is left, and the seconds until there is more of it."""
        events = self._events
        left = int(events) if events > 0 else 0
        seconds = (left + 1 - events) / self._rate
        more = 1 if seconds <= 1 else math.ceil(seconds)
        return (self._policy, (b"ratelimit", b'"default";r=%d;t=%d' % (left, more)))


class Rates:
    """The buckets of this process. A `rate` of 0 sets no limit."""

    def __init__(self, rate: int, size: int, clock: Clock) -> None:
        self._rate, self._size, self._clock = rate, size, clock
        self._buckets: dict[str, Bucket] = {}
        """By the key's name, made with its first event: no more of them than credentials."""

    def take(self, request: Request, by: Credential, events: int = 1, held: int = 0) -> None:
        """Lets that many events of the request pass. 429 `rate_limited` where they come too fast;
        then none of them is taken. `held`: see `Bucket.take`."""
        if not self._rate:
            return
        bucket = self._buckets.get(by.name)
        if bucket is None:
            bucket = self._buckets[by.name] = Bucket(self._rate, self._size, self._clock)
        seconds = bucket.take(events, held)
        request.scope[_FIELDS] = bucket.fields()
        if seconds:
            measures.RATE_LIMITED.labels(by.tenant).inc()
            raise self._problem(events, math.ceil(seconds))

    def _problem(self, events: int, seconds: int) -> Problem:
        detail = f"This key may send {self._rate} events a second: try again in {seconds} s."
        if events > self._size:
            detail += f" A batch of more than {self._size} passes only after such a pause."
        return Problem("rate_limited", detail, headers={"retry-after": str(seconds)})


class Limited:
    """A route's app: answers, problems too, get the fields once their key is known.

    Not a middleware: that would wrap every message of every answer. What is no `Problem` (MongoDB
    away, a defect) is answered further out, without the fields.
    """

    def __init__(self, handler: Callable[[Request], Awaitable[Response]]) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._handler(Request(scope, receive, send))
        except Problem as problem:
            response = problem.response()
        response.raw_headers += scope.get(_FIELDS, ())
        await response(scope, receive, send)
