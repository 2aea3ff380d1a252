"""`laurel verify`: is everything in the database what the journal and its own decisions make it?"""

import os
import time
from typing import Annotated

import typer
from rich.console import Console

from cli.problems import CommandError
from cli.verify.audit import Audit, run
from cli.verify.page import as_json, print_page, shown
from shared.runtime.settings import Settings

PROCESSES = 2
"""By themselves; each keeps a core busy, and so do mongod and Kafka for two of them."""


def verify(
    partition: Annotated[
        int | None, typer.Option(help="Only this partition, instead of all.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Differences to show; all are counted.")] = 50,
    as_machines_read: Annotated[
        bool, typer.Option("--json", help="One JSON object instead of the page.")
    ] = False,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes that check, each a partition at a time.")
    ] = min(PROCESSES, os.cpu_count() or 1),
) -> None:
    """Compute everything in the database again, and report each difference.

    It only reads, beside live traffic, as of one moment: journal, decisions, balances, lots,
    profiles, cards, positions, and the messages that Kafka still has. Exit status 0: no difference.

    Memory: 750 bytes for a customer, 100 for an open lot, 65 for a closed one, and ten times that
    of one partition in each process. mongod must let all that be read within its
    minSnapshotHistoryWindowInSeconds (300 unless set). docs/operating/verify.md says more.
    """
    settings = Settings.from_environment()
    audit = Audit(settings, _only(partition, settings), processes, limit)
    began = time.perf_counter()
    with shown(Console(stderr=True)) as progress:
        audited = run(audit, progress)
    seconds = time.perf_counter() - began
    if as_machines_read:
        print(as_json(audited, seconds))
    else:
        print_page(Console(), audited, seconds)
    if audited.found.total:
        raise typer.Exit(1)


def _only(partition: int | None, settings: Settings) -> frozenset[int]:
    if partition is None:
        return frozenset()
    if not 0 <= partition < settings.partitions:
        raise CommandError(
            f"there is no partition {partition}; LAUREL_PARTITIONS is {settings.partitions}."
        )
    return frozenset({partition})
