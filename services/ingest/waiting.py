"""`Prefer: wait`: who waits for which outcome, and where it comes from.

Outcomes come by `events.outcomes`. What does not come that way (a repeat is told its place only; a
message may be missed while a broker restarts) is read from the owner's decisions.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from secrets import randbits
from typing import Any, NamedTuple, Self, cast

import msgspec
import structlog
from confluent_kafka import Message
from msgspec import Struct
from pymongo.errors import PyMongoError

from services.ingest.answers import Answer, of_problem
from services.ingest.domain.submission import Ready
from services.ingest.listening import Listening
from services.ingest.records import Place, Records
from shared.contracts.actions import BUILT
from shared.contracts.outcomes import PARKED, outcome_of
from shared.contracts.problems import problem
from shared.runtime import cancelling
from shared.runtime.deciding import encode
from shared.runtime.messages import text_headers
from shared.runtime.settings import Settings

DECISIONS_POLL_SECONDS = 0.02
LOOK_UP_SECONDS = 0.4
"""So long before the time is up the records are asked: one query each for journal and owner."""
WAITERS_MAX = 20_000
"""More are answered at once with 202, as if their time were up."""


class _Repeat(Struct, gc=False):
    partition: int
    seq: int


class _Peek(Struct, gc=False):
    """As much of an outcome's value as tells what it is."""

    status: str | int | None = None
    id: str | None = None
    repeat_of: _Repeat | None = None


_peek = msgspec.json.Decoder(_Peek)


class Waiter:
    """One event that somebody waits for; `content` tells a repeat from another event of its id."""

    __slots__ = ("action", "answer", "content", "id", "reply_to", "tenant")

    def __init__(self, tenant: str, event: Ready, reply_to: str) -> None:
        self.tenant = tenant
        self.id = event.id
        self.action = event.action
        self.content = event.content
        self.reply_to = reply_to
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def settle(self, answer: Answer) -> None:
        """The first answer counts."""
        if not self.answer.done():
            self.answer.set_result(answer)


class Decided(NamedTuple):
    """Where the decision of a waiter is; `duplicate`: another submission came first."""

    place: Place
    duplicate: bool


class Waiting:
    """All waiters of this process. Everything here belongs to the event loop's thread."""

    def __init__(self, settings: Settings, records: Records) -> None:
        self._instance = settings.instance("gateway")
        self._records = records
        self._numbers = count(randbits(48))  # an answer to an earlier process is nobody's
        self._waiters: dict[str, Waiter] = {}
        self._undecided: dict[Waiter, Decided] = {}
        self._wake = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._listening = Listening(settings, self._take, lambda: bool(self._waiters))
        self._log = structlog.get_logger().bind(service="gateway")

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._follow())
        await self._listening.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        await self._listening.__aexit__()

    @property
    def ready(self) -> bool:
        """Whether outcomes are listened for; until then the records alone answer."""
        return self._listening.ready

    def expect(self, tenant: str, event: Ready) -> Waiter | None:
        """A waiter whose `reply_to` goes with the event; who asked must `forget` it. None: full."""
        if len(self._waiters) >= WAITERS_MAX:
            return None
        reply_to = f"{self._instance}/{next(self._numbers)}"
        waiter = self._waiters[reply_to] = Waiter(tenant, event, reply_to)
        return waiter

    def forget(self, waiters: Iterable[Waiter]) -> None:
        """Their request is answered."""
        for waiter in waiters:
            self._waiters.pop(waiter.reply_to, None)
            self._undecided.pop(waiter, None)

    async def wait(self, waiters: Sequence[Waiter], seconds: float) -> None:
        """Until each has its answer or the time is up; the last moments are for the records."""
        self._listening.hurry()
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        if late := await _unanswered(waiters, seconds - LOOK_UP_SECONDS):
            await self._look_up(late)
            await _unanswered(late, deadline - clock())

    async def _look_up(self, waiters: Sequence[Waiter]) -> None:
        """Answers conflicts, and follows the decisions of events that the journal has."""
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS / 2):
                stored = await self._records.stored(
                    waiters[0].tenant, [waiter.id for waiter in waiters]
                )
        except (PyMongoError, TimeoutError) as error:
            self._log.warning("records_away", error=type(error).__name__)
            return
        for waiter in waiters:
            event = stored.get(waiter.id)
            if event is None:
                continue
            if event.content == waiter.content:
                duplicate = event.reply_to != waiter.reply_to
                self._decided(waiter, Decided(event.place, duplicate))
            else:
                waiter.settle(of_problem(problem("event_conflict", id=waiter.id)))

    def _decided(self, waiter: Waiter, at: Decided) -> None:
        self._undecided[waiter] = at
        self._wake.set()

    async def _follow(self) -> None:
        """Reads the decisions that somebody waits for, again and again while there are any."""
        while True:
            await self._wake.wait()
            try:
                await self._read_decisions()
            except PyMongoError as error:
                self._log.warning("records_away", error=type(error).__name__)
            cancelling.check()
            if not self._undecided:
                self._wake.clear()
            await asyncio.sleep(DECISIONS_POLL_SECONDS)

    async def _read_decisions(self) -> None:
        by_owner: dict[str, dict[Place, list[Waiter]]] = {}
        for waiter, at in self._undecided.items():
            places = by_owner.setdefault(BUILT[waiter.action].owner, {})
            places.setdefault(at.place, []).append(waiter)
        for owner, places in by_owner.items():
            events = {place: waiters[0].id for place, waiters in places.items()}
            for place, decision in (await self._records.decided(owner, events)).items():
                for waiter in places[place]:
                    if waiter in self._undecided:
                        at = self._undecided.pop(waiter)
                        waiter.settle(_answer(decision, duplicate=at.duplicate))

    def _take(self, message: Message) -> None:
        """An outcome, a problem, or the place of the event that this one repeats."""
        headers = text_headers(cast("list[tuple[str, bytes | None]] | None", message.headers()))
        waiter = self._waiters.get(headers.get("reply_to", ""))
        if waiter is None or headers.get("ce_id") != waiter.id:
            return
        body = message.value() or b""
        try:
            peek = _peek.decode(body)
        except msgspec.MsgspecError:
            self._log.exception("outcome_unreadable")
            return
        if peek.repeat_of is not None:
            at = (peek.repeat_of.partition, peek.repeat_of.seq)
            self._decided(waiter, Decided(at, duplicate=True))
        else:
            waiter.settle(Answer(_status(peek.status), body))


async def _unanswered(waiters: Sequence[Waiter], seconds: float) -> list[Waiter]:
    """Waits for all of them for so long; gives those that are left."""
    if seconds > 0:
        await asyncio.wait([waiter.answer for waiter in waiters], timeout=seconds)
    return [waiter for waiter in waiters if not waiter.answer.done()]


def _answer(decision: Mapping[str, Any], *, duplicate: bool) -> Answer:
    outcome = outcome_of(decision, duplicate=duplicate)
    return Answer(_status(outcome["status"]), encode(outcome))


def _status(status: object) -> int:
    """HTTP's: a problem brings its own; an event that waits parked is not decided yet."""
    if isinstance(status, int):
        return status
    return 202 if status == PARKED else 200
