"""How fast each key may send: a token bucket for every credential, and the fields that tell of it.

The fields are those of draft-ietf-httpapi-ratelimit-headers-10; their quota unit is the event.
"""

import math
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
        self._fill()
        self._events += held
        missing = min(events, self._size) - self._events
        if missing > 0:
            return missing / self._rate
        self._events -= events
        return 0.0

    def fields(self) -> Fields:
        """The policy, what is left, and the seconds until there is more of it."""
        left = max(0, math.floor(self._events))
        more = max(1, math.ceil((left + 1 - self._events) / self._rate))
        return (self._policy, (b"ratelimit", b'"default";r=%d;t=%d' % (left, more)))

    def _fill(self) -> None:
        now = self._clock()
        self._events = min(self._size, self._events + (now - self._at) * self._rate)
        self._at = now


class Rates:
    """The buckets of this process. A `rate` of 0 sets no limit."""

    def __init__(self, rate: int, size: int, clock: Clock) -> None:
        self._rate, self._size, self._clock = rate, size, clock
        self._buckets: dict[Credential, Bucket] = {}
        """Made with a key's first event; there are no more of them than credentials."""

    def take(self, request: Request, by: Credential, events: int = 1, held: int = 0) -> None:
        """Lets that many events of the request pass. 429 `rate_limited` where they come too fast;
        then none of them is taken. `held`: see `Bucket.take`."""
        if not self._rate:
            return
        bucket = self._buckets.get(by)
        if bucket is None:
            bucket = self._buckets[by] = Bucket(self._rate, self._size, self._clock)
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


class RateLimitFields:
    """Gives the fields to every answer of a route, problems too, whose key was let in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_fields(message: Message) -> None:
            if message["type"] == "http.response.start" and _FIELDS in scope:
                message["headers"] = [*message["headers"], *scope[_FIELDS]]
            await send(message)

        await self._app(scope, receive, with_fields)
