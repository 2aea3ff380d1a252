"""Workers: the partitions of a snapshot, checked here or by processes of their own."""

import gc
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait

from pymongo.errors import OperationFailure

from cli.positions import servers_answer
from cli.problems import CommandError
from cli.verify.findings import Findings
from cli.verify.partition import Advance, Sources, check_partition
from cli.verify.snapshot import Part
from shared.runtime.mongo import open_client
from shared.runtime.settings import Settings


@contextmanager
def reads_answered(settings: Settings) -> Iterator[None]:
    """Around what reads: a server that is away or refuses becomes a `CommandError`."""
    with servers_answer(settings):
        try:
            yield
        except OperationFailure as error:
            why = (error.details or {}).get("errmsg", error)
            raise CommandError(
                f"MongoDB refused a read ({why}); while a rebuild replaces collections that "
                "happens: verify again."
            ) from error


@contextmanager
def _no_cycles_sought() -> Iterator[None]:
    """Documents hold no cycles; to look for some among them takes a quarter of the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def check_here(settings: Settings, parts: list[Part], found: Findings, checked: Advance) -> None:
    """Takes the parts one after the other. Raises `CommandError`."""
    with reads_answered(settings), open_client(settings) as client, _no_cycles_sought():
        while parts:
            check_partition(Sources(settings, client), parts.pop(), found, checked)


def check_beside(
    settings: Settings, processes: int, parts: list[Part], found: Findings, checked: Advance
) -> None:
    """Hands the parts out, one at a time to each process. Raises `CommandError`."""
    # Spawned: the clients of both servers have threads, whose locks a fork would copy.
    context = multiprocessing.get_context("spawn")
    busy: list[Connection] = []
    for _ in range(min(processes, len(parts))):
        ours, theirs = context.Pipe()
        arguments = (theirs, settings, found.limit)
        context.Process(target=_work, args=arguments, daemon=True).start()
        theirs.close()
        ours.send(parts.pop())
        busy.append(ours)
    while busy:
        for connection in wait(busy):
            if not isinstance(connection, Connection) or not _heard(connection, found, checked):
                continue
            if parts:
                connection.send(parts.pop())
            else:
                connection.send(None)
                busy.remove(connection)


def _heard(connection: Connection, found: Findings, checked: Advance) -> bool:
    """Takes in what a process says; true: it has finished its part."""
    try:
        said = connection.recv()
    except EOFError:
        raise CommandError("a process of verify ended before its partition was checked") from None
    if isinstance(said, CommandError):
        raise said
    if isinstance(said, Findings):
        found.add(said)
        return True
    checked(said)
    return False


def _work(connection: Connection, settings: Settings, limit: int) -> None:
    """A process: parts in, findings out, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    try:
        while (part := connection.recv()) is not None:
            found = Findings(limit)
            check_here(settings, [part], found, connection.send)
            connection.send(found)
    except CommandError as error:
        connection.send(error)
    except EOFError:
        return  # nobody waits for it any more
