"""The official JSON Schema of AsyncAPI 3: the npm package that bundles it, once, into `.cache`."""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest

from deploy.local.servers import CACHE

PACKAGE = "@asyncapi/specs@6.11.1"
SHA256 = "01af8744dc33c0c7eb2e908f6a955319ee58b70ecadc9387d1aeb16c0cd28928"
MEMBER = "package/schemas/3.0.0.json"
FETCH_SECONDS = 120


def asyncapi_schema() -> dict[str, Any]:
    """The schema; skips the test where there is neither the file nor npm to fetch it with."""
    archive = CACHE / "asyncapi-specs-6.11.1.tgz"
    if not archive.exists():
        _fetch(archive)
    with tarfile.open(archive) as opened:
        member = opened.extractfile(MEMBER)
        assert member is not None, f"{archive.name} has no {MEMBER}"
        schema: dict[str, Any] = json.load(member)
    return schema


def _fetch(archive: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"the official schema is in the npm package {PACKAGE}, and npm is not here")
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        done = subprocess.run(
            [npm, "pack", "--silent", PACKAGE],
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"{PACKAGE} could not be fetched: {done.stderr.strip()[-200:]}")
        [packed] = Path(scratch).glob("*.tgz")
        digest = hashlib.sha256(packed.read_bytes()).hexdigest()
        assert digest == SHA256, f"{PACKAGE} is not the file that was pinned"
        packed.rename(archive)
