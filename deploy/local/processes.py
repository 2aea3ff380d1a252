"""Ports and processes of this machine: who listens, who is left over, what is free."""

import contextlib
import errno
import random
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.local.problems import StackError

FOLDER_VARIABLE = "LAUREL_STACK_FOLDER"
CONNECT_TIMEOUT_SECONDS = 1
KILLED_WITHIN_SECONDS = 10
# Below every system's range for outgoing connections: a client that keeps trying a free port of
# that range can be given the very port as its own and connect to itself.
FREE_PORTS = range(18_000, 32_000)


@dataclass(frozen=True, slots=True)
class Listener:
    """Who has a port; nothing is known of another user's process."""

    pid: int | None = None
    command: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return "a process of another user"
        return f"process {self.pid} ({self.command[:60]})"


def answers(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), CONNECT_TIMEOUT_SECONDS):
            return True
    except OSError:
        return False


def listener(port: int) -> Listener | None:
    """Who listens on `port`, or None where it is free to bind."""
    if _is_free(port):
        return None
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                process = psutil.Process(connection.pid) if connection.pid else None
                return Listener(process.pid, " ".join(process.cmdline())) if process else Listener()
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return Listener()


def free_ports(count: int) -> list[int]:
    """`count` different ports that nothing listens on now."""
    candidates = random.SystemRandom().sample(FREE_PORTS, k=len(FREE_PORTS))
    found = [port for port, _ in zip(filter(_is_free, candidates), range(count), strict=False)]
    if len(found) < count:
        raise StackError(f"this machine has no {count} free ports from 18000 to 31999.")
    return found


def left_over(folder: Path, signatures: Mapping[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """Each running process that this folder's stack started, with its program's name.

    One is ours only when its environment names the folder and its command line bears the
    program's signature: a process id alone may have gone to somebody else.
    """
    for process in psutil.process_iter():
        try:
            if process.environ().get(FOLDER_VARIABLE) != str(folder):
                continue
            command = " ".join(process.cmdline()) + " "
        except (psutil.Error, OSError):  # gone, a zombie, or another user's
            continue
        for name, signature in signatures.items():
            if signature in command:
                yield name, process
                break


def stop(processes: Iterable[psutil.Process], within_seconds: float) -> None:
    """SIGTERM, then SIGKILL for whoever is still there after `within_seconds`."""
    waiting = list(processes)
    for process in waiting:
        _signal(process, kill=False)
    _, stubborn = psutil.wait_procs(waiting, timeout=within_seconds)
    for process in stubborn:
        _signal(process, kill=True)
    psutil.wait_procs(stubborn, timeout=KILLED_WITHIN_SECONDS)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill() if kill else process.terminate()


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise StackError(f"port {port} cannot be used: {error.strerror}.") from error
    return True
