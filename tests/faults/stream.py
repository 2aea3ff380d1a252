"""A load that streams while a scenario does its worst."""

import itertools
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from shared.runtime.settings import Settings
from tests.faults.model import Sender
from tests.faults.staging import wait

CHUNK_SECONDS = 0.1


class Stream:
    """Sends a load at a steady pace from a thread, until it is at its end or the block is left."""

    def __init__(
        self, settings: Settings, load: Iterator[tuple[str, bytes]], per_second: int
    ) -> None:
        self.sent = 0
        self._load = load
        self._chunk = max(1, int(per_second * CHUNK_SECONDS))
        self._sender = Sender(settings)
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    @property
    def ended(self) -> bool:
        """Whether everything is sent (or sending failed)."""
        return not self._thread.is_alive()

    def reach(self, count: int, within_seconds: float) -> None:
        """Waits until so many are sent, or all."""
        reached = wait(lambda: self.sent >= count or self.ended, within_seconds)
        assert reached, f"{self.sent} events sent within {within_seconds:g} s, not {count}"

    def finish(self, within_seconds: float) -> None:
        """Waits for the load's end."""
        self._thread.join(within_seconds)
        assert self.ended, f"the load did not end within {within_seconds:g} s: {self.sent} sent"

    def _run(self) -> None:
        try:
            due = time.monotonic()
            while not self._over.is_set() and self._send():
                due += CHUNK_SECONDS
                self._over.wait(due - time.monotonic())
        except Exception as error:  # noqa: BLE001  # raised again where the block ends
            self._failure = error

    def _send(self) -> bool:
        chunk = list(itertools.islice(self._load, self._chunk))
        for customer, value in chunk:
            self._sender.send(customer, value)
        self._sender.flush()
        self.sent += len(chunk)
        return bool(chunk)
