"""Runs an HTTP service: uvicorn, quiet, on uvloop, and gone within its time after SIGTERM."""

import uvicorn
from starlette.types import ASGIApp

CLOSE_SECONDS = 20
"""What running requests have left after SIGTERM; 25 s are what an orchestrator is told to wait."""


def serve(app: ASGIApp, host: str, port: int) -> None:
    """Blocks until SIGTERM or SIGINT; exits with 3 where the app's start fails."""
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
