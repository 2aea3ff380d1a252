"""What it takes to start one process: the same for supervisor, for tests, for a hand."""

import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

READY_TIMEOUT_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Launch:
    """A command, where it listens, and how to know its process again."""

    name: str
    command: tuple[str, ...]
    directory: Path
    """Where it is started."""
    port: int
    """Where it listens on 127.0.0.1."""
    is_ready: Callable[[int], bool]
    """Whether what listens on that port can do its work."""
    signature: str
    """A text that only this process has in its command line."""
    setting: str
    """What moves its port."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to what every process of the stack gets."""
    is_service: bool = False
    """One of ours: started after the servers, stopped before them."""
    more_ports: tuple[int, ...] = ()
    """What else it listens on, for itself."""


def serves(port: int) -> bool:
    """Whether the service on `port` answers `/readyz` with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
