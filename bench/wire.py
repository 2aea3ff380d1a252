"""HTTP from a load generator's side: requests as bytes, one at a time on each connection.

Lean, since it shares the cores with what it measures: some 15 µs for a request and its answer.
"""

import asyncio
import random
import re
from collections.abc import Callable
from typing import cast

from bench.events import checkout

LENGTH = b"content-length: "
END = b"\r\n\r\n"


class Answer:
    """Status and body."""

    __slots__ = ("body", "status")

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body


class Connection(asyncio.Protocol):
    """Hands each answer to `answered`; whoever has it sends the next request."""

    __slots__ = ("_buffer", "_transport", "answered", "lost")

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport
        self.answered: Callable[[Answer], None]
        self.lost: Callable[[], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes) -> None:
        """Only after the answer to the one before."""
        self._transport.write(request)

    def close(self) -> None:
        """No more."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head = self._buffer.find(END)
        if head < 0:
            return
        at = self._buffer.find(LENGTH, 0, head)
        length = int(self._buffer[at + len(LENGTH) : self._buffer.find(b"\r", at)])
        end = head + len(END) + length
        if len(self._buffer) >= end:
            answer = Answer(int(self._buffer[9:12]), self._buffer[head + len(END) : end])
            self._buffer = self._buffer[end:]
            self.answered(answer)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the base's name
        self.lost()


def post(path: str, key: str, body: bytes) -> bytes:
    """A whole POST of JSON."""
    return _head(f"POST {path}", key, f"content-type: application/json\r\n{_length(body)}") + body


def get(path: str, key: str) -> bytes:
    """A whole GET."""
    return _head(f"GET {path}", key, "")


def _head(line: str, key: str, more: str) -> bytes:
    return f"{line} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n{more}\r\n".encode()


def _length(body: bytes) -> str:
    return f"content-length: {len(body)}\r\n"


class Template:
    """Checkouts of two lines that differ in id and customer, made in a microsecond each."""

    def __init__(self, run: str, customers: int, prefix: str = "c") -> None:
        self._run = run
        self._customers = customers
        made = checkout("%(id)s", f"{prefix}-%(customer)05d", 2, random.Random(1))
        self.points = made.points
        self._text = made.body.decode()

    def body(self, number: int) -> str:
        """The event of that number."""
        names = {"id": f"{self._run}-{number:08}", "customer": number % self._customers}
        return self._text % names

    def parts(self) -> list[str]:
        """The texts around id, number of the customer, and id again."""
        return re.split(r"%\(\w+\)\w+", self._text)
