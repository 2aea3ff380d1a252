"""Runs an HTTP service: uvicorn, quiet, on uvloop, and gone within its time after SIGTERM."""

import signal
import sys
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

CLOSE_SECONDS = 20
"""What running requests have left after SIGTERM; 25 s are what an orchestrator is told to wait."""


def serve(app: ASGIApp, host: str, port: int) -> None:
    """Blocks until SIGTERM or SIGINT and then exits with 0; with 3 where the app cannot start."""
    # When it has closed, uvicorn raises the signal again: without this, a clean end looks killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    uvicorn.run(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )


def _end(_: int, __: FrameType | None) -> None:
    sys.exit(0)
