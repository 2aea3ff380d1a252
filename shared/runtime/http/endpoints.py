"""What every HTTP service answers besides its own paths: probes, metrics, its description."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.runtime.http.counting import Counting
from shared.runtime.http.docs_page import docs_routes
from shared.runtime.http.paths import Segments
from shared.runtime.http.problems import Problem, handle_problems

READY_SECONDS = 2.0
"""A readiness check that takes longer counts as failed: probes are asked every few seconds."""

Ready = Callable[[], Awaitable[list[str]]]
"""Names what is missing; an empty list means ready."""


def install(
    app: Starlette,
    *,
    title: str,
    ready: Ready,
    openapi: Callable[[], Mapping[str, object]],
    unavailable: tuple[type[Exception], ...] = (),
    registry: CollectorRegistry = REGISTRY,
) -> None:
    """Gives `app` (Starlette or FastAPI) problems, encoded segments and the standard endpoints.

    `unavailable`: exceptions that mean that a server does not answer (503 with `Retry-After`).
    A FastAPI app is made with `openapi_url=None` and passes its own `app.openapi`.
    """
    handle_problems(app, unavailable)
    app.add_middleware(Segments)
    app.add_middleware(Counting)
    app.router.redirect_slashes = False
    app.router.routes += [*_probes(ready, registry), *docs_routes(title, openapi)]


def _probes(ready: Ready, registry: CollectorRegistry) -> list[Route]:
    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        if missing := await _missing(ready):
            raise Problem("unavailable", f"Missing: {', '.join(missing)}.", missing=missing)
        return JSONResponse({"status": "ready"})

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]


async def _missing(ready: Ready) -> list[str]:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await ready()
    except TimeoutError:
        return [f"no answer within {READY_SECONDS:g} s"]
    except Exception as error:  # noqa: BLE001  # whatever it is, this service is not ready
        return [type(error).__name__]
