"""The program service as a process: it starts by its settings and ends when it is told to."""

import os
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from shared.runtime.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def started(**variables: str) -> subprocess.Popen[bytes]:
    named = {f"LAUREL_{name.upper()}": value for name, value in variables.items()}
    outside = {name: value for name, value in os.environ.items() if not name.startswith("LAUREL_")}
    return subprocess.Popen(
        [sys.executable, "-m", "services.program"],
        cwd=ROOT,
        env={**outside, **named},
        stderr=subprocess.PIPE,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def is_ready(port: int) -> bool:
    try:
        connection = HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False


def test_it_serves_until_it_is_told_to_stop(program_settings: Settings) -> None:
    port = free_port()
    process = started(
        namespace=program_settings.namespace,
        mongo_url=program_settings.mongo_url,
        program_port=str(port),
        keys="a-key:demo:admin",
    )
    try:
        deadline = time.monotonic() + 30
        while not is_ready(port):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(25) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        pytest.param({"keys": ""}, b"LAUREL_KEYS", id="no keys"),
        pytest.param({"keys": "secret:Demo:admin"}, b"LAUREL_KEYS, entry 1", id="a wrong tenant"),
        pytest.param({"program_prot": "1"}, b"LAUREL_PROGRAM_PROT", id="a misspelt setting"),
    ],
)
def test_a_wrong_setting_stops_the_start(variables: dict[str, str], named: bytes) -> None:
    process = started(**variables)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 2
    assert named in error
    assert b"secret" not in error
