"""Kafka and mongod as child processes: for tests and measurements, without a supervisor."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import jars, kafka, mongod
from deploy.local.launch import Launch
from deploy.local.problems import StackError
from deploy.local.processes import free_ports

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
READY_TIMEOUT_SECONDS = 90  # 3 s on a quiet machine
STOP_TIMEOUT_SECONDS = 20
POLL_SECONDS = 0.05
TAIL_LINES = 15


class Server:
    """One server that a test can kill, freeze and start again, on the same port and data."""

    def __init__(self, launch: Launch, log: Path, starter: ThreadPoolExecutor) -> None:
        self.launch = launch
        self.log = log
        self._starter = starter
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return self.launch.port

    @property
    def pid(self) -> int:
        """Of the running process."""
        if self._process is None:
            raise StackError(f"{self.launch.name} was not started.")
        return self._process.pid

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it is ready unless told not to."""
        if self._process is not None and self._process.poll() is None:
            raise StackError(f"{self.launch.name} runs already.")
        self._process = self._starter.submit(_spawn, self.launch, self.log).result()
        if wait:
            self.wait_ready()

    def wait_ready(self, within_seconds: float = READY_TIMEOUT_SECONDS) -> None:
        """Raises `StackError` with the end of its log when it exits or time runs out."""
        deadline = time.monotonic() + within_seconds
        while not self.launch.is_ready(self.port):
            code = self._process.poll() if self._process else None
            if code is not None:
                raise StackError(f"{self.launch.name} exited with {code}:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise StackError(
                    f"{self.launch.name} was not ready in {within_seconds:g} s:\n{tail(self.log)}"
                )
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """SIGTERM and wait: an orderly end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL and wait: what a crash does."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: it answers nobody, and its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on as if nothing had happened."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: int) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)  # a frozen process takes no SIGTERM
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True, slots=True)
class Servers:
    """Both, ready, with the addresses that `Settings` takes."""

    kafka: Server
    mongod: Server

    @property
    def kafka_servers(self) -> str:
        """For `Settings.kafka_servers`."""
        return f"127.0.0.1:{self.kafka.port}"

    @property
    def mongo_url(self) -> str:
        """For `Settings.mongo_url`."""
        return f"mongodb://127.0.0.1:{self.mongod.port}/?replicaSet={mongod.REPLICA_SET}"


@contextmanager
def running(
    folder: Path,
    kafka_port: int | None = None,
    mongo_port: int | None = None,
    cache_gb: float = mongod.CACHE_GB,
) -> Iterator[Servers]:
    """Kafka and mongod with their data in `folder`, on free ports unless given; ready when yielded.

    They die with this process, however it ends. The same folder can be run again, with the same
    `mongo_port`. mongod's fail points are enabled (`configureFailPoint`), for fault tests.
    """
    folder = folder.resolve()
    free = free_ports(3)
    kafka_port, mongo_port = kafka_port or free[0], mongo_port or free[1]
    launches = (
        kafka.prepare(folder / "kafka", jars.fetch(CACHE), kafka_port, controller_port=free[2]),
        mongod.prepare(folder / "mongo", mongo_port, cache_gb, ["enableTestCommands=1"]),
    )
    with ExitStack() as stack:
        # The kernel ends a tied child with the thread that made it: one thread makes them all.
        starter = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="servers"))
        broker, database = (
            Server(launch, folder / f"{launch.name}.log", starter) for launch in launches
        )
        for server in (broker, database):
            stack.callback(server.stop)
            server.start(wait=False)
        for server in (database, broker):
            server.wait_ready()
        yield Servers(broker, database)


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The end of a log, for a message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 400 * lines))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:])


def _spawn(launch: Launch, log: Path) -> subprocess.Popen[bytes]:
    tied = [sys.executable, "-S", str(Path(__file__).with_name("tied.py")), str(os.getpid())]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*tied, *launch.command],
            cwd=launch.directory,
            env=environment(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C ends the tests, which then stop the servers
        )


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """What a child gets of ours: enough to find programs, and nothing of Laurel's settings."""
    names = ("PATH", "HOME", "TMPDIR", "TZ", "LANG", "SSL_CERT_FILE")
    return {name: os.environ[name] for name in names if name in os.environ} | dict(more)
