"""Health of a worker over HTTP: `/livez`, `/readyz`, `/metrics`, in a thread of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], str]
"""Says what is wrong; empty: nothing."""

TEXT = "text/plain; charset=utf-8"


@contextmanager
def serving(host: str, port: int, alive: Check, ready: Check) -> Iterator[int]:
    """Serves the probes while open; yields the port (0 asks the system for a free one)."""
    server = ThreadingHTTPServer((host, port), _handler(alive, ready))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def _handler(alive: Check, ready: Check) -> type[BaseHTTPRequestHandler]:
    def probe(check: Check) -> tuple[int, str, bytes]:
        wrong = check()
        return (503, TEXT, f"{wrong}\n".encode()) if wrong else (200, TEXT, b"ok\n")

    routes: dict[str, Callable[[], tuple[int, str, bytes]]] = {
        "/livez": lambda: probe(alive),
        "/readyz": lambda: probe(ready),
        "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest()),
    }

    class Probes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            route = routes.get(self.path.partition("?")[0])
            status, kind, body = route() if route else (404, TEXT, b"not found\n")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
            """Probes come every second: not worth a line."""

    return Probes
