"""The door: takes events by HTTP, puts them on the inbox, and answers once the broker has them.

Stateless and thin: it knows what an event must look like, and no loyalty rule.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self
from urllib.parse import quote

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uuid_utils import uuid7

from services.ingest import measures, openapi
from services.ingest.answers import Answer, batch_response, failed, queued, refused, response
from services.ingest.bodies import batch_of, event_of, media_type
from services.ingest.domain import cloudevents
from services.ingest.domain.content import ContentKey
from services.ingest.domain.refusal import Refusal
from services.ingest.domain.submission import CurrencyMissing, Door, Ready, submit
from services.ingest.preferences import wait_seconds
from services.ingest.producing import Headers, Outgoing, Producing
from services.ingest.rates import Clock, Limited, Rates
from services.ingest.records import Document, Records
from services.ingest.waiting import Waiter, Waiting
from shared.runtime import http, logs
from shared.runtime.http import BATCH_BYTES_MAX, Credential, Credentials, Problem
from shared.runtime.settings import Settings

TITLE = "Laurel: gateway"
MONGO_TIMEOUT_MS = 3_000
"""Of every read: each is by key, and its client waits."""
READY_SECONDS = 1.5
EVENTS_AT_A_TIME = 100
"""Of a batch, before other requests get their turn: 1 to 2 ms."""

_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_SAME: Headers = [("ce_specversion", b"1.0"), ("ce_source", b"gateway"), ("hops", b"0")]


class Gateway:
    """Requests in, answers out; holds what every request needs, opened with the app."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._credentials = Credentials.parse(settings.keys.get_secret_value())
        self._rates = Rates(settings.rate_events_per_second, settings.rate_burst_events, clock)
        self._doors: dict[str, Door] = {}
        self._stack = AsyncExitStack()
        self._records: Records
        self._producing: Producing
        self._waiting: Waiting

    async def __aenter__(self) -> Self:
        client: AsyncMongoClient[Document] = AsyncMongoClient(
            self._settings.mongo_url,
            appname=self._settings.instance("gateway"),
            timeoutMS=MONGO_TIMEOUT_MS,
            serverSelectionTimeoutMS=MONGO_TIMEOUT_MS,
            readConcernLevel="majority",
            tz_aware=True,
            connect=False,
        )
        self._records = Records(self._settings, await self._stack.enter_async_context(client))
        self._producing = await self._stack.enter_async_context(Producing(self._settings))
        waiting = Waiting(self._settings, self._records)
        self._waiting = await self._stack.enter_async_context(waiting)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def missing(self) -> list[str]:
        """What keeps the gateway from being ready: `kafka`, `outcomes`, `mongo`."""
        brokers = asyncio.create_task(self._producing.brokers(READY_SECONDS))
        found = []
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._records.ping()
        except (PyMongoError, TimeoutError):
            found.append("mongo")
        if not self._waiting.ready:
            found.append("outcomes")
        return found if await brokers else ["kafka", *found]

    async def event(self, request: Request) -> Response:
        """`POST /v1/events`."""
        by, seconds = self._admit(request)
        kind = media_type(request.headers.get("content-type", ""))
        members = event_of(await http.read_body(request), kind)
        result = (await self._submit([members], by.tenant, _idempotency_key(request)))[0]
        if isinstance(result, Refusal):
            if kind == cloudevents.MEDIA_TYPE:
                result = cloudevents.renamed(result)
            return response(_refused(result), {})
        answer = (await self._take([result], by.tenant, seconds, _trace(request)))[0]
        headers = _applied(seconds)
        if answer.status == 202:
            place = quote(result.id, safe="")
            headers["location"] = f"{self._settings.query_url}/v1/events/{place}"
        return response(answer, headers)

    async def batch(self, request: Request) -> Response:
        """`POST /v1/events/batch`: a problem of one event is its item, and stops no other."""
        by, seconds = self._admit(request)
        if "idempotency-key" in request.headers:
            detail = "Idempotency-Key names one event: give each event of a batch its id."
            raise Problem("parameter_invalid", detail, parameter="Idempotency-Key")
        kind = media_type(request.headers.get("content-type", ""))
        events = batch_of(await http.read_body(request, BATCH_BYTES_MAX), kind)
        self._rates.take(request, by, len(events), held=1)
        results = await self._submit(events, by.tenant, None)
        ready = [result for result in results if isinstance(result, Ready)]
        if ready and self._producing.away:
            raise Problem("unavailable", "Kafka does not answer: nothing of the batch was taken.")
        taken = iter(await self._take(ready, by.tenant, seconds, _trace(request)) if ready else ())
        answers = [
            _refused(result) if isinstance(result, Refusal) else next(taken) for result in results
        ]
        return batch_response(answers, 200 if seconds else 202, _applied(seconds))

    async def preview(self, request: Request) -> Response:
        """`POST /v1/events/preview`: not built yet."""
        self._credentials.reader(request)
        raise Problem("not_found", "The preview is not built yet.")

    def _admit(self, request: Request) -> tuple[Credential, int]:
        """Who calls and how long they would wait; refuses what the whole request is refused for.

        A request counts as one event before its body is read, so that one too many costs little; a
        batch counts as all of its events once they are known.
        """
        by = self._credentials.writer(request)
        self._rates.take(request, by)
        if request.scope["query_string"]:
            name = next(iter(request.query_params), "")
            raise Problem("parameter_unknown", f"There is no parameter {name}.", parameter=name)
        return by, wait_seconds(request.headers.getlist("prefer"))

    async def _submit(
        self, events: Sequence[Any], tenant: str, key: str | None
    ) -> list[Ready | Refusal]:
        """Each event to what is produced, or why not; the program is asked at most once."""
        door = self._door(tenant)
        currency = ""
        results: list[Ready | Refusal] = []
        for index, members in enumerate(events):
            if index and index % EVENTS_AT_A_TIME == 0:
                await asyncio.sleep(0)
            if isinstance(members, Refusal):
                results.append(members)
                continue
            result = submit(members, door, key=key, currency=currency)
            if isinstance(result, CurrencyMissing):
                currency = await self._records.currency(tenant)
                result = submit(members, door, key=key, currency=currency)
            assert not isinstance(result, CurrencyMissing)  # noqa: S101  # for the type checker
            results.append(result)
        return results

    def _door(self, tenant: str) -> Door:
        """Made once for each tenant; there are no more of them than credentials."""
        if tenant not in self._doors:
            secret = self._settings.content_secret.get_secret_value()
            self._doors[tenant] = Door(ContentKey(secret, tenant).hash, lambda: str(uuid7()))
        return self._doors[tenant]

    async def _take(
        self, events: Sequence[Ready], tenant: str, seconds: int, trace: str
    ) -> list[Answer]:
        """Produces the events and, where asked for, waits for their outcomes; one answer each."""
        started = time.monotonic()
        waiters = [self._waiting.expect(tenant, event) if seconds else None for event in events]
        try:
            failures = await self._producing.send(
                [
                    _outgoing(event, tenant, waiter, trace)
                    for event, waiter in zip(events, waiters, strict=True)
                ]
            )
            measures.PRODUCE_SECONDS.observe(time.monotonic() - started)
            measures.QUEUED.inc(len(events) - len(failures))
            awaited = [
                waiter
                for index, waiter in enumerate(waiters)
                if waiter is not None and index not in failures
            ]
            if awaited:
                await self._waiting.wait(awaited, seconds - (time.monotonic() - started))
                measures.WAIT_SECONDS.observe(time.monotonic() - started)
            return [
                _answer(event, failures.get(index), waiter)
                for index, (event, waiter) in enumerate(zip(events, waiters, strict=True))
            ]
        finally:
            self._waiting.forget(waiter for waiter in waiters if waiter is not None)


def _outgoing(event: Ready, tenant: str, waiter: Waiter | None, trace: str) -> Outgoing:
    headers = [
        *_SAME,
        ("ce_id", event.id),
        ("ce_type", event.action),
        ("tenant", tenant),
        ("customer", event.customer),
        ("content", event.content),
    ]
    if event.time:
        headers.append(("ce_time", event.time))
    if waiter is not None:
        headers.append(("reply_to", waiter.reply_to))
    if trace:
        headers.append(("traceparent", trace))
    return Outgoing(f"{tenant}/{event.customer}", event.value, headers)


def _answer(event: Ready, failure: str | None, waiter: Waiter | None) -> Answer:
    if failure is not None:
        measures.REFUSED[failure].inc()
        return failed(failure, event.id)
    return waiter.answer.result() if waiter and waiter.answer.done() else queued(event.id)


def _refused(refusal: Refusal) -> Answer:
    measures.REFUSED[refusal.code].inc()
    return refused(refusal)


def _idempotency_key(request: Request) -> str | None:
    """Header texts are bytes; ours are UTF-8, as ids in bodies are."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    try:
        return key.encode("latin-1").decode()
    except UnicodeDecodeError:
        detail = "Idempotency-Key is not UTF-8."
        raise Problem("parameter_invalid", detail, parameter="Idempotency-Key") from None


def _trace(request: Request) -> str:
    trace = request.headers.get("traceparent", "")
    return trace if _TRACE.fullmatch(trace) else ""


def _applied(seconds: int) -> dict[str, str]:
    return {"preference-applied": f"wait={seconds}"} if seconds else {}


def build_gateway(settings: Settings, clock: Clock = time.monotonic) -> Starlette:
    """The gateway's app; connections are opened when it starts. `clock`: rates are by it."""
    gateway = Gateway(settings, clock)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with gateway:
            yield

    app = Starlette(
        routes=[
            Route("/v1/events", Limited(gateway.event), methods=["POST"]),
            Route("/v1/events/batch", Limited(gateway.batch), methods=["POST"]),
            Route("/v1/events/preview", gateway.preview, methods=["POST"]),
        ],
        lifespan=lifespan,
    )
    http.install(
        app,
        title=TITLE,
        ready=gateway.missing,
        openapi=openapi.description,
        unavailable=(PyMongoError,),
    )
    return app


def serve(settings: Settings) -> int:
    """Serves until SIGTERM; returns the exit status."""
    app = build_gateway(settings)
    log = logs.configure(settings, "gateway")
    log.info("serving", host=settings.host, port=settings.gateway_port)
    http.serve(app, settings.host, settings.gateway_port)
    return 0
