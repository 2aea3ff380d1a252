"""The local stack with real servers, in a folder and on ports of its own."""

import itertools
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local import logs, mongod, preflight, processes, supervision
from deploy.local.launch import Launch, serves
from deploy.local.problems import StackError
from deploy.local.servers import Servers
from deploy.local.stack import MADE, Stack
from shared.runtime.settings import Settings

pytestmark = pytest.mark.servers


def services_ports() -> dict[str, Any]:
    """The whole table's ports are checked, whatever is started: a demo may have the usual ones."""
    gateway, program, query = processes.free_ports(3)
    workers = range(32_000, 60_000, 8)
    health = next(first for first in workers if all(map(_free, range(first, first + 8))))
    ports = {"gateway_port": gateway, "program_port": program, "query_port": query}
    return ports | {"health_port": health}


def _free(port: int) -> bool:
    return processes.listener(port) is None


@pytest.fixture(scope="module")
def settings_of_stack(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A deep folder with a space, a percent sign and a letter beyond ASCII."""
    ports = itertools.pairwise(sorted(processes.free_ports(400)))
    kafka = next(port for port, following in ports if following > port + 1)
    return Settings(
        stack_folder=str(tmp_path_factory.mktemp("a stack, 100 % deep, ü") / ("folder" * 8)),
        kafka_port=kafka,
        mongo_port=processes.free_ports(1)[0],
        **services_ports(),
    )


@pytest.fixture(scope="module")
def stack(settings_of_stack: Settings) -> Iterator[Stack]:
    """Not started; whatever a test leaves of it is removed at the end."""
    made = Stack(settings_of_stack)
    yield made
    made.reset(_silent)
    assert not made.folder.exists()
    assert not supervision.socket_path(made.folder).parent.exists()


def _silent(_program: str, _doing: str) -> None:
    pass


def _servers_up(stack: Stack) -> bool:
    return stack.up(_silent, servers_only=True)


def test_a_second_up_does_nothing(stack: Stack) -> None:
    _servers_up(stack)
    before = [row.process.pid for row in stack.status()]
    assert _servers_up(stack) is False
    assert [row.process.pid for row in stack.status()] == before
    assert [row.part.name for row in stack.status() if row.ready] == ["kafka", "mongod"]


def test_a_running_stack_refuses_other_settings(stack: Stack, settings_of_stack: Settings) -> None:
    _servers_up(stack)
    changed = settings_of_stack.model_copy(update={"namespace": "other"})
    with pytest.raises(StackError, match="namespace was laurel, is now other"):
        _servers_up(Stack(changed))


def test_a_taken_port_is_named_with_its_taker(
    stack: Stack, settings_of_stack: Settings, tmp_path: Path
) -> None:
    _servers_up(stack)
    taker = next(row for row in stack.status() if row.part.name == "kafka")
    beside = settings_of_stack.model_copy(update={"stack_folder": str(tmp_path / "beside")})
    with pytest.raises(StackError) as refused:
        _servers_up(Stack(beside))
    assert str(refused.value).startswith(
        f"port {taker.part.port} (kafka) is taken by process {taker.process.pid} ("
    )
    assert str(refused.value).endswith("choose another port with LAUREL_KAFKA_PORT.")


def test_what_a_killed_supervisord_leaves_is_named_and_stopped(stack: Stack) -> None:
    _servers_up(stack)
    orphans = [psutil.Process(row.process.pid) for row in stack.status() if row.process.pid]
    supervisord = psutil.Process(orphans[0].ppid())
    os.kill(supervisord.pid, signal.SIGKILL)
    supervisord.wait(10)

    with pytest.raises(StackError) as refused:
        _servers_up(stack)
    for process in orphans:
        assert f"(process {process.pid})" in str(refused.value)
    assert stack.down(_silent) is True
    assert not any(process.is_running() for process in orphans)
    assert stack.down(_silent) is False


def test_mongod_data_of_another_port_is_told(stack: Stack, settings_of_stack: Settings) -> None:
    _servers_up(stack)
    stack.down(_silent)
    moved = settings_of_stack.model_copy(update={"mongo_port": processes.free_ports(1)[0]})
    with pytest.raises(StackError, match=f"LAUREL_MONGO_PORT={settings_of_stack.mongo_port}"):
        _servers_up(Stack(moved))
    assert stack.status() == []


def test_a_program_that_exits_is_told_with_the_end_of_its_log(stack: Stack) -> None:
    stack.reset(_silent)
    data = stack.folder / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=77\n")
    with pytest.raises(StackError, match=r"kafka exited(.|\n)*node.id"):
        _servers_up(stack)
    assert stack.status() == []
    stack.reset(_silent)


def test_given_servers_are_used_and_none_is_started(servers: Servers, tmp_path: Path) -> None:
    given = Settings(
        stack_folder=str(tmp_path / "given"),
        kafka_servers=servers.kafka_servers,
        mongo_url=servers.mongo_url,
        **services_ports(),
    )
    stack = Stack(given)
    assert _servers_up(stack) is False
    assert not {"kafka", "mongod"} & {row.part.name for row in stack.status()}
    stack.reset(_silent)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(StackError, match=r"thesis\.txt"):
        preflight.check_folder(tmp_path, MADE)


def test_a_port_is_wanted_once() -> None:
    port = processes.free_ports(1)[0]
    both = [
        Launch(name, ("true",), Path(), port, serves, "true ", "LAUREL_X_PORT")
        for name in ("one", "two")
    ]
    with pytest.raises(StackError, match=f"port {port} is wanted by one and two"):
        preflight.check_ports(both)


def test_the_socket_of_a_deep_folder_is_short(tmp_path: Path) -> None:
    near = supervision.socket_path(Path("/srv/laurel"))
    deep = supervision.socket_path(tmp_path / ("deep" * 30))
    assert near == Path("/srv/laurel/run/supervisor.sock")
    assert len(os.fsencode(deep)) < supervision.SOCKET_PATH_BYTES_MAX


NO_LIBRARY = "mongod: error while loading shared libraries: {}: cannot open shared object file"


@pytest.mark.parametrize(
    ("complaint", "sentence"),
    [
        (NO_LIBRARY.format("libcurl.so.4"), r"needs libcurl\.so\.4, .* apt install libcurl4"),
        (NO_LIBRARY.format("libcrypto.so.3"), r"needs libcrypto\.so\.3, .* OpenSSL 3"),
        (NO_LIBRARY.format("libodd.so.9"), r"install the package that holds libodd\.so\.9"),
        ("/lib/libc.so.6: version `GLIBC_2.34' not found", r"needs GLIBC 2\.34, .* is older"),
        ("[Errno 2] No such file or directory: '/x/mongod'", r"needs glibc, .*Alpine"),
        ("Permission denied", r"does not start here \(Permission denied\)"),
    ],
)
def test_the_loaders_complaint_becomes_a_sentence(complaint: str, sentence: str) -> None:
    assert re.search(sentence, mongod.explain(complaint))


def test_logs_are_followed_across_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "points.log"
    log.write_text("old\n")
    assert list(logs.last_lines({"points": log}, 5)) == [("points", "old")]

    lines = logs.Followed(log)
    with log.open("a") as followed:
        followed.write("one\ntw")
        followed.flush()
        assert lines.added() == ["one"]
        followed.write("o\n")
        followed.flush()
        assert lines.added() == ["two"]
    log.rename(tmp_path / "points.log.1")
    log.write_text("three\n")
    assert lines.added() == ["three"]
