"""Counting: every request of an HTTP service by class of status, and how long it took."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime import metrics

PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds by machines: they would hide what clients see."""
CLASSES = ("2xx", "3xx", "4xx", "5xx", "none")
"""`none`: the client went away before there was an answer."""


class Counting:
    """Outermost, so that it sees what the client gets."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._counts = {name: metrics.HTTP_REQUESTS.labels(name) for name in CLASSES}
        metrics.BUILD.info({"version": metrics.VERSION})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = "none"

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = f"{message['status'] // 100}xx"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._counts[status].inc()
            metrics.HTTP_SECONDS.observe(time.perf_counter() - started)
