"""The whole local stack in one folder: up, down, reset, and how it is."""

import fcntl
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import KafkaException
from pydantic import SecretStr

from deploy.local import jars, preflight, processes, programs, servers, supervision
from deploy.local.problems import StackError
from deploy.local.supervision import Process, Supervisor
from shared.runtime.kafka import create_topics
from shared.runtime.settings import PREFIX, Settings

LOCAL_KEYS = "local-admin-key:demo:admin,local-read-key:demo:read,local-other-key:other:admin"
READY_TIMEOUT_SECONDS = 90
ORPHAN_STOP_SECONDS = 30
POLL_SECONDS = 0.1
DOWN = frozenset({"BACKOFF", "EXITED", "FATAL"})
"""A program in one of these has ended on its own."""
MADE = ("kafka", "mongo", "logs", "run", "content.secret", "lock")
"""All that a stack writes into its folder; a reset removes these and nothing else."""

Report = Callable[[str, str], None]
"""Called with a program's name and what it is doing now."""


class Part(NamedTuple):
    """One program of a stack that was started: what its record keeps."""

    name: str
    port: int
    is_service: bool

    def is_ready(self) -> bool:
        """Whether it can do its work now."""
        return programs.is_ready(self.name, self.port)


class Row(NamedTuple):
    """How one program is."""

    part: Part
    process: Process
    ready: bool


class Stack:
    """The stack of one folder, under one set of settings."""

    def __init__(self, settings: Settings, root: Path = servers.ROOT) -> None:
        self.settings = settings
        self.root = root
        self.folder = (root / settings.stack_folder).resolve()
        self.logs = self.folder / "logs"
        self._record = self.folder / "run" / "stack.json"

    def up(self, report: Report, *, servers_only: bool = False) -> bool:
        """Start what does not run and wait until all of it is ready; False when it was already.

        Raises `StackError`, with the end of the log where a program exited.
        """
        with self._alone():
            supervisor = Supervisor(self.folder)
            if supervisor.is_running():
                self._refuse_other_settings()
            else:
                self._spawn(supervisor, report)
            started = self._start(supervisor, report, service=False)
            if not servers_only:
                self._create_topics()
                started += self._start(supervisor, report, service=True)
            return bool(started)

    def down(self, report: Report) -> bool:
        """Stop everything that this folder started, data stays; False when nothing ran."""
        if not self.folder.exists():
            return False
        with self._alone():
            supervisor = Supervisor(self.folder)
            running = supervisor.is_running()
            if running:
                report("supervisord", "stopping every program")
                supervisor.shutdown()
            # A supervisord that does not answer would start again what we stop: it goes first.
            for signatures in ({"supervisord": supervision.SIGNATURE}, self._signatures()):
                left = list(processes.left_over(self.folder, signatures))
                for name, process in left:
                    report(name, f"stopping process {process.pid}, left over")
                processes.stop((process for _, process in left), ORPHAN_STOP_SECONDS)
                running = running or bool(left)
            return running

    def reset(self, report: Report) -> bool:
        """Stop it and remove its data, logs and secret; False when there was nothing.

        Servers whose addresses were given keep what they hold.
        """
        self.down(report)
        Supervisor(self.folder).forget()
        there = [self.folder / name for name in MADE if (self.folder / name).exists()]
        for path in there:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()
        return bool(there)

    def status(self) -> list[Row]:
        """Every program, in starting order; empty when the stack does not run."""
        supervisor = Supervisor(self.folder)
        if not self._record.exists() or not supervisor.is_running():
            return []
        known = {process.name: process for process in supervisor.processes()}
        return [Row(part, known[part.name], part.is_ready()) for part in self._parts()]

    def left_over(self) -> list[str]:
        """What still runs although supervisord is gone: `kafka (process 12)`, …"""
        found = processes.left_over(self.folder, self._signatures())
        return sorted(f"{name} (process {process.pid})" for name, process in found)

    def _spawn(self, supervisor: Supervisor, report: Report) -> None:
        if left := self.left_over():
            raise StackError(
                f"supervisord does not answer, but what it started runs: {', '.join(left)}. "
                "`./laurel down` stops it; then start again."
            )
        preflight.check_folder(self.folder, MADE)
        preflight.check_given(self.settings)
        for name in ("logs", "run"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        launches = [
            *programs.servers(self.settings, self.folder, lambda: self._jars(report)),
            *programs.services(self.settings, self.root, Path(sys.executable)),
        ]
        preflight.check_ports(launches)
        supervisor.spawn(launches, self._child_environment())
        parts = [Part(launch.name, launch.port, launch.is_service) for launch in launches]
        record = {"settings": self._fingerprint(), "parts": parts}
        self._record.write_text(json.dumps(record), encoding="utf-8")

    def _jars(self, report: Report) -> Path:
        report("kafka", "preparing")
        return jars.fetch(
            servers.CACHE, lambda done, total: report("kafka", f"downloading {done} of {total}")
        )

    def _start(self, supervisor: Supervisor, report: Report, *, service: bool) -> list[str]:
        parts = [part for part in self._parts() if part.is_service == service]
        running = {found.name for found in supervisor.processes() if found.state == "RUNNING"}
        to_start = [part.name for part in parts if part.name not in running]
        for name in to_start:
            supervisor.start(name, is_service=service)
        try:
            new = [part for part in parts if part.name in to_start or not part.is_ready()]
            self._wait_ready(supervisor, new, report)
        except StackError as error:
            if service:
                raise StackError(
                    f"{error}\nThe rest runs on (`./laurel status`); `./laurel down` stops it."
                ) from error
            supervisor.shutdown()  # without its servers nothing of the stack is of use
            raise
        return to_start

    def _wait_ready(self, supervisor: Supervisor, parts: Iterable[Part], report: Report) -> None:
        begun = time.monotonic()
        waiting = {part.name: part for part in parts}
        first_pid: dict[str, int] = {}
        for name in waiting:
            report(name, "starting")
        while waiting:
            for process in supervisor.processes():
                if process.name in waiting:
                    self._refuse_exited(process, first_pid)
            for name, part in list(waiting.items()):
                if part.is_ready():
                    del waiting[name]
                    report(name, f"ready after {time.monotonic() - begun:.1f} s")
            if waiting and time.monotonic() - begun > READY_TIMEOUT_SECONDS:
                raise StackError(self._not_ready(list(waiting)))
            time.sleep(POLL_SECONDS if waiting else 0)

    def _refuse_exited(self, process: Process, first_pid: dict[str, int]) -> None:
        """Supervisord starts an ended program again: another process id means that it ended."""
        first = first_pid.setdefault(process.name, process.pid) if process.pid else 0
        if process.state in DOWN or (process.pid and process.pid != first):
            raise StackError(
                f"{process.name} exited. The end of {self._log(process.name)}:\n"
                f"{servers.tail(self.logs / f'{process.name}.log')}"
            )

    def _not_ready(self, names: list[str]) -> str:
        parts = [f"not ready after {READY_TIMEOUT_SECONDS} s: {', '.join(names)}."]
        for name in names:
            end = servers.tail(self.logs / f"{name}.log")
            parts.append(f"The end of {self._log(name)}:\n{end}")
        return "\n".join(parts)

    def _log(self, name: str) -> str:
        log = self.logs / f"{name}.log"
        return str(log.relative_to(self.root) if log.is_relative_to(self.root) else log)

    def _refuse_other_settings(self) -> None:
        """A running stack keeps the settings it was started with."""
        if not self._record.exists():
            return
        recorded = json.loads(self._record.read_text(encoding="utf-8"))["settings"]
        changes = [
            f"{name} was {recorded.get(name)}, is now {value}"
            for name, value in self._fingerprint().items()
            if value != recorded.get(name)
        ]
        if changes:
            raise StackError(
                f"the stack runs with other settings ({'; '.join(changes)}): "
                "`./laurel down`, then start again."
            )

    def _fingerprint(self) -> dict[str, Any]:
        given = self.settings.model_fields_set & {"kafka_servers", "mongo_url"}
        values = self.settings.model_dump(mode="json", exclude={"keys", "content_secret"})
        return {**values, "given": sorted(given)}

    def _parts(self) -> list[Part]:
        recorded = json.loads(self._record.read_text(encoding="utf-8"))
        return [Part(*part) for part in recorded["parts"]]

    def _create_topics(self) -> None:
        try:
            create_topics(self.settings)
        except KafkaException as error:
            raise StackError(f"the topics could not be made: {error.args[0].str()}") from error

    def _signatures(self) -> dict[str, str]:
        return programs.signatures(self.folder)

    def _child_environment(self) -> dict[str, str]:
        """Every setting that was given, and what the local stack adds."""
        settings = self.settings
        given = {name: _text(getattr(settings, name)) for name in settings.model_fields_set}
        added = {
            "keys": settings.keys.get_secret_value() or LOCAL_KEYS,
            "content_secret": settings.content_secret.get_secret_value() or self._content_secret(),
            "stack_folder": str(self.folder),
        }
        named = {f"{PREFIX}{name.upper()}": value for name, value in (given | added).items()}
        return servers.environment(named | {"PYTHONUNBUFFERED": "1"})

    def _content_secret(self) -> str:
        """Made on the first start and kept: it must not change for the life of the log."""
        path = self.folder / "content.secret"
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
        return path.read_text(encoding="utf-8")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One command at a time changes the stack of a folder; another waits here."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
