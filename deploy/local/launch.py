"""What it takes to start one process: the same for supervisor, for tests, for a hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Launch:
    """A command and how to know its process again."""

    name: str
    command: tuple[str, ...]
    port: int
    """Where it listens on 127.0.0.1."""
    signature: str
    """A text that only this process has in its command line."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to what every process of the stack gets."""
    ready_path: str = ""
    """The HTTP path that answers 200 once it serves; empty for the two servers."""
