"""Laurel's services as processes of a test: started, killed, started again, kept alive."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from deploy.local.processes import free_ports
from deploy.local.programs import SERVICES
from deploy.local.servers import ROOT, environment, tail
from shared.runtime.settings import PREFIX, Settings

READY_SECONDS = 60.0
KEEPER_SECONDS = 0.02


@dataclass
class Process:
    """One process and how it is started."""

    name: str
    command: Sequence[str]
    variables: Mapping[str, str]
    port: int
    log: Path
    popen: subprocess.Popen[bytes] | None = None
    started_at: list[float] = field(default_factory=list)
    """When it was started, each time; of the machine's clock, as its log is."""
    kept: bool = True
    """Whether `Stack.keep_alive` starts it again when it ends."""

    def start(self) -> None:
        """Starts it; it dies with the test run."""
        self.started_at.append(time.time())
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=environment(self.variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def starts(self) -> int:
        return len(self.started_at)

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.popen is not None, f"{self.name} was never started"
        return self.popen

    def kill(self) -> None:
        """SIGKILL, as a crash does."""
        killed = self.running  # a keeper may have put the next one into its place by the wait
        killed.kill()
        killed.wait()

    def stop(self) -> None:
        """SIGTERM, as an operator does."""
        stopped = self.running
        stopped.terminate()
        try:
            stopped.wait(30)
        except subprocess.TimeoutExpired:
            stopped.kill()
            stopped.wait()

    def ready(self) -> bool:
        """Whether `/readyz` says so."""
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}/readyz", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False

    def wait_ready(self, within_seconds: float = READY_SECONDS) -> None:
        """Fails with the end of its log."""
        deadline = time.monotonic() + within_seconds
        while not self.ready():
            exited = self.running.poll() is not None
            assert not exited, f"{self.name} exited:\n{tail(self.log)}"
            assert time.monotonic() < deadline, f"{self.name} is not ready:\n{tail(self.log)}"
            time.sleep(0.05)


@dataclass
class Stack:
    """The services of one namespace, each a process, with clients' addresses."""

    settings: Settings
    folder: Path
    processes: dict[str, Process] = field(default_factory=dict)
    _keeping: threading.Event = field(default_factory=threading.Event)
    _keeper: threading.Thread | None = None

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.settings.gateway_port}"

    @property
    def program(self) -> str:
        return f"http://127.0.0.1:{self.settings.program_port}"

    @property
    def query(self) -> str:
        return f"http://127.0.0.1:{self.settings.query_port}"

    def add(
        self,
        name: str,
        worker: str = "0",
        command: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Process:
        """A process of the stack's table, not yet started; `command` replaces its own."""
        service = next(item for item in SERVICES if item.name == name)
        module = (sys.executable, "-m", service.module, *filter(None, [service.role]))
        port = getattr(self.settings, service.port) if service.port else free_ports(1)[0]
        known = {"WORKER": worker, "HEALTH_PORT": "0" if service.port else str(port)}
        process = Process(
            name=f"{name}-{worker}" if worker != "0" else name,
            command=list(command or module),
            variables=variables_of(self.settings)
            | {f"{PREFIX}{key}": value for key, value in known.items()}
            | dict(variables or {}),
            port=port,
            log=self.folder / f"{name}-{worker}.log",
        )
        self.processes[process.name] = process
        return process

    def start(self, *names: str) -> None:
        """Starts those processes (all: none named) and waits until they are ready."""
        chosen = [self.processes[name] for name in names] or list(self.processes.values())
        for process in chosen:
            process.start()
        for process in chosen:
            process.wait_ready()

    def keep_alive(self) -> None:
        """Starts again whatever ends, as a supervisor does, until the stack is closed."""

        def keep() -> None:
            while not self._keeping.wait(KEEPER_SECONDS):
                for process in list(self.processes.values()):
                    ended = process.popen is not None and process.popen.poll() is not None
                    if process.kept and ended:
                        process.start()

        self._keeper = threading.Thread(target=keep, name="keeper", daemon=True)
        self._keeper.start()

    def close(self) -> None:
        """Stops everything."""
        self._keeping.set()
        if self._keeper is not None:
            self._keeper.join()
        started = [process for process in self.processes.values() if process.popen is not None]
        for process in started:
            process.running.terminate()
        for process in started:
            process.stop()


def variables_of(settings: Settings) -> dict[str, str]:
    """The settings as the environment of a process."""
    variables = {}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        plain = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        variables[f"{PREFIX}{name.upper()}"] = json.dumps(plain) if plain is True else str(plain)
    return variables


@contextmanager
def stack_of(settings: Settings, folder: Path) -> Iterator[Stack]:
    """A stack on free ports; nothing runs until it is told to."""
    gateway, program, query = free_ports(3)
    ports = {"gateway_port": gateway, "program_port": program, "query_port": query}
    stack = Stack(settings.model_copy(update=ports), folder)
    try:
        yield stack
    finally:
        stack.close()
