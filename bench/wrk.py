"""Load for the gateway by wrk, where the machine has it: cheaper than ours, it takes less away."""

import argparse
import json
import math
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from bench.problems import BenchError
from bench.wire import Template

SCRIPT = Path(__file__).with_name("wrk.lua")


def found() -> str:
    """Where it is; empty: nowhere."""
    return shutil.which("wrk") or ""


def load(asked: argparse.Namespace, run: str, seconds: float) -> dict[str, Any]:
    """One run of at least so many whole seconds: what its script prints at the end."""
    path = "/v1/events/batch" if asked.batch > 1 else "/v1/events"
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as parts:
        parts.write("\n".join(Template(run, asked.customers).parts()) + "\n")
        parts.flush()
        command = [asked.wrk, "--threads", "1", "--connections", str(asked.connections)]
        command += ["--duration", f"{math.ceil(seconds)}s", "--script", str(SCRIPT)]
        command += [f"http://127.0.0.1:{asked.port}{path}", "--", str(asked.batch), run]
        command += [str(asked.customers), asked.key, parts.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise BenchError(f"wrk failed: {done.stderr or done.stdout}")
    said: dict[str, Any] = json.loads(lines[-1])
    if said["lost"]:
        raise BenchError(f"wrk lost {said['lost']} requests: {done.stdout}")
    return said
