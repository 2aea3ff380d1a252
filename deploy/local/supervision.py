"""supervisord of one stack folder: its configuration, and what we ask of it."""

import hashlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from deploy.local.launch import Launch
from deploy.local.problems import StackError

SIGNATURE = "-m supervisor.supervisord "
# The kernel allows 107 bytes; supervisord makes the socket under this name and its process id.
SOCKET_PATH_BYTES_MAX = 95
START_TIMEOUT_SECONDS = 20
# Services finish their batch within 25 s of SIGTERM, mongod writes a checkpoint.
STOP_SECONDS = 30
SHUTDOWN_TIMEOUT_SECONDS = 120
ALREADY_STARTED = 60

CONFIGURATION = """\
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
logfile=logs/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile=run/supervisord.pid
umask=077

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

PROGRAM = """
[program:{name}]
command={command}
directory={directory}
environment={environment}
autostart=false
autorestart=true
startsecs=1
startretries=2
stopwaitsecs={stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile=logs/{name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""

# Groups are stopped one after the other, the highest priority first; each takes a second.
GROUP = """
[group:{name}]
programs={programs}
priority={priority}
"""
SERVERS, SERVICES = "servers", "services"


class Process(NamedTuple):
    """What supervisord knows of one program."""

    name: str
    state: str
    """STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED or FATAL."""
    pid: int
    """0 where there is no process."""
    uptime_seconds: int


class Supervisor:
    """The supervisord whose files lie in `folder`, running or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = socket_path(folder)

    def is_running(self) -> bool:
        """Whether it answers."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
        return True

    def spawn(self, launches: Sequence[Launch], environment: Mapping[str, str]) -> None:
        """Start it with none of its programs started; its children get `environment`."""
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        configuration = self.folder / "run" / "supervisord.conf"
        configuration.write_text(self._configuration(launches), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, *shlex.split(SIGNATURE), "-c", str(configuration)],
            cwd=self.folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode:
            reason = (done.stderr or done.stdout).strip().splitlines()
            raise StackError(f"supervisord did not start: {reason[-1] if reason else 'no reason'}")

    def start(self, name: str, *, is_service: bool) -> None:
        """Start a program unless it is started; does not wait for it."""
        group = SERVICES if is_service else SERVERS
        try:
            self._ask("startProcess", f"{group}:{name}", False)  # XML-RPC knows positions only
        except Fault as fault:
            if fault.faultCode != ALREADY_STARTED:
                raise StackError(f"{name} could not be started: {fault.faultString}") from fault

    def processes(self) -> list[Process]:
        """Every program of its configuration, in order of name."""
        return [
            Process(
                name=found["name"],
                state=found["statename"],
                pid=found["pid"],
                uptime_seconds=found["now"] - found["start"] if found["pid"] else 0,
            )
            for found in self._ask("getAllProcessInfo")
        ]

    def shutdown(self) -> None:
        """Stop every program, services before servers, and then itself."""
        itself = psutil.Process(self._ask("getPID"))
        self._ask("shutdown")
        try:
            itself.wait(SHUTDOWN_TIMEOUT_SECONDS)
        except psutil.TimeoutExpired as error:
            raise StackError(
                f"supervisord (process {itself.pid}) is still stopping its programs after "
                f"{SHUTDOWN_TIMEOUT_SECONDS} s; its log: {self.folder / 'logs/supervisord.log'}"
            ) from error

    def forget(self) -> None:
        """Remove what it keeps outside of its folder."""
        if not self.socket.is_relative_to(self.folder) and self.socket.parent.is_dir():
            shutil.rmtree(self.socket.parent)

    def _ask(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            proxy = ServerProxy("http://127.0.0.1", transport=transport)
            return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, HTTPException) as error:
            raise StackError(f"supervisord does not answer ({error}).") from error
        finally:
            transport.close()

    def _configuration(self, launches: Sequence[Launch]) -> str:
        parts = [CONFIGURATION.format(socket=_literal(str(self.socket)))]
        for launch in launches:
            pairs = [f'{name}="{value}"' for name, value in launch.environment.items()]
            parts.append(
                PROGRAM.format(
                    name=launch.name,
                    command=_literal(shlex.join(launch.command)),
                    directory=_literal(str(launch.directory)),
                    environment=_literal(",".join(pairs)),
                    stop_seconds=STOP_SECONDS,
                )
            )
        for number, group in enumerate((SERVERS, SERVICES), start=1):
            names = [launch.name for launch in launches if launch.is_service == (group == SERVICES)]
            if names:
                parts.append(GROUP.format(name=group, programs=",".join(names), priority=number))
        return "".join(parts)


def socket_path(folder: Path) -> Path:
    """Inside the folder, or, where that path is too long for a socket, in a private one in /tmp."""
    near = folder / "run" / "supervisor.sock"
    if len(os.fsencode(near)) <= SOCKET_PATH_BYTES_MAX:
        return near
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    # Not TMPDIR: every shell must find the same one.
    private = Path("/tmp", f"laurel-{digest}")  # noqa: S108
    if os.path.lexists(private) and private.lstat().st_uid != os.getuid():
        raise StackError(
            f"{private} belongs to another user: move the repository to a shorter path."
        )
    return private / "supervisor.sock"


def _literal(text: str) -> str:
    """Supervisord expands %(name)s."""
    return text.replace("%", "%%")
