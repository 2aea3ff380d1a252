"""The query service that the program asks, on a port, with what customers have written by hand."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from services.query.app import create_app
from shared.runtime.settings import Settings

DEADLINE_SECONDS = 20


@contextmanager
def query_serving(settings: Settings) -> Iterator[str]:
    """Its address; it serves until the end of the block."""
    config = uvicorn.Config(create_app(settings), port=0, log_config=None)
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    socket.listen()  # who connects before the server runs waits for it
    thread = threading.Thread(target=server.run, args=([socket],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(DEADLINE_SECONDS)
        socket.close()
