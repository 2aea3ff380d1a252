"""The audit of a namespace: a snapshot of what changes, and every partition checked against it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from cli.verify.findings import Findings
from cli.verify.snapshot import take
from cli.verify.workers import check_beside, check_here, reads_answered
from shared.runtime.mongo import open_client
from shared.runtime.settings import Settings


class Progress(NamedTuple):
    """Who is told how far it is: how many more documents were read into the snapshot; then once how
    many events there are; then how many more of them are checked."""

    read: Callable[[int], None]
    events: Callable[[int], None]
    checked: Callable[[int], None]


def _silent(_: int) -> None:
    """Nobody wants to know."""


SILENT = Progress(_silent, _silent, _silent)


@dataclass(frozen=True, slots=True)
class Audit:
    """What to check, and how. `partitions` empty: all of them; `limit`: how many differences are
    kept."""

    settings: Settings
    partitions: frozenset[int] = field(default_factory=frozenset)
    processes: int = 1
    limit: int = 50


class Audited(NamedTuple):
    """The database as of `at` (naive UTC), and what is wrong with it."""

    at: datetime
    partitions: int
    found: Findings


def run(audit: Audit, progress: Progress = SILENT) -> Audited:
    """Raises `CommandError` where a server does not answer, or there is nothing to check."""
    settings = audit.settings
    wanted = audit.partitions or frozenset(range(settings.partitions))
    with reads_answered(settings), open_client(settings) as client:
        snapshot = take(client, settings, wanted, progress.read)
    parts = [snapshot.parts.pop(partition) for partition in sorted(wanted, reverse=True)]
    progress.events(sum(part.cursor("journal")["last"] for part in parts))
    found = Findings(audit.limit)
    if audit.processes == 1 or len(parts) == 1:
        check_here(settings, parts, found, progress.checked)
    else:
        check_beside(settings, audit.processes, parts, found, progress.checked)
    return Audited(snapshot.at, len(wanted), found)
