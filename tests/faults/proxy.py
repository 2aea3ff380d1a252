"""A way to mongod that can be slow, break, and lose the answer to a commit.

It knows MongoDB's wire protocol as far as where a message ends (its first four bytes), so that a
delay falls on each reply and a commit is told from other requests.
"""

import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BACKLOG = 64
LENGTH = struct.Struct("<i")
COMMIT = b"commitTransaction"
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends a reset, as a broken network path ends a connection."""


class Proxy:
    """Listens on a port of its own; what it does to the traffic can be changed at any time."""

    def __init__(self, target_port: int, seed: int = 1) -> None:
        self._target = ("127.0.0.1", target_port)
        self._chance = random.Random(seed)
        self._delay = (0.0, 0.0)
        self._lost_commits = 0
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.commits_lost = 0
        self.cut = 0

    @property
    def mongo_url(self) -> str:
        """For `Settings.mongo_url`. Direct: else the driver would go where the replica set says."""
        return f"mongodb://127.0.0.1:{self._listener.getsockname()[1]}/?directConnection=true"

    def slow(self, least_seconds: float, most_seconds: float) -> None:
        """Every reply is so late from now on; nought: none is."""
        self._delay = (least_seconds, most_seconds)

    def lose_commits(self, count: int) -> None:
        """The next `count` commits reach the database, and their answers nobody: the connection
        breaks instead."""
        self._lost_commits = count

    def break_all(self) -> None:
        """Every open connection ends as by a broken network path; new ones are let through."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        self.cut += len(pairs)
        for pair in pairs:
            _reset(*pair)

    def serve(self) -> None:
        """Accepts until closed."""
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Ends everything."""
        self._closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.break_all()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:  # the database is away: so are we
            _reset(client)
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._pairs.add((client, server))
        loses = threading.Event()
        threading.Thread(target=self._requests, args=(client, server, loses), daemon=True).start()
        self._replies(client, server, loses)

    def _requests(
        self, client: socket.socket, server: socket.socket, loses: threading.Event
    ) -> None:
        with suppress(OSError):
            while message := _message(client):
                if COMMIT in message and self._takes_a_commit():
                    loses.set()
                server.sendall(message)
        self._end(client, server)

    def _replies(
        self, client: socket.socket, server: socket.socket, loses: threading.Event
    ) -> None:
        with suppress(OSError):
            while message := _message(server):
                if loses.is_set():
                    break
                self._closed.wait(self._chance.uniform(*self._delay))
                client.sendall(message)
        self._end(client, server)

    def _takes_a_commit(self) -> bool:
        with self._lock:
            if not self._lost_commits:
                return False
            self._lost_commits -= 1
            self.commits_lost += 1
            return True

    def _end(self, client: socket.socket, server: socket.socket) -> None:
        with self._lock:
            self._pairs.discard((client, server))
        _reset(client, server)


@contextmanager
def proxied(target_port: int) -> Iterator[Proxy]:
    """A proxy at work, at first passing everything through."""
    proxy = Proxy(target_port)
    thread = threading.Thread(target=proxy.serve, name="proxy", daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()


def _message(source: socket.socket) -> bytes:
    """The next whole message; nothing: the connection has ended."""
    head = _exactly(source, LENGTH.size)
    if not head:
        return b""
    rest = _exactly(source, LENGTH.unpack(head)[0] - LENGTH.size)
    return head + rest if rest else b""


def _exactly(source: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = source.recv(min(count, 65_536))
        if not part:
            return b""
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _reset(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)  # wakes whoever reads from it
        with suppress(OSError):
            end.close()
