"""Kafka's jars: named and hashed in `kafka.lock`, fetched once into `.cache`, offline after."""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import truststore
from jgo.maven import Dependency as MavenDependency
from jgo.maven import MavenContext, PythonResolver

from deploy.local.problems import StackError

KAFKA = "4.4.0"
LOCK = Path(__file__).with_name("kafka.lock")
FETCH_TIMEOUT_SECONDS = 60
CONNECTIONS_MAX = 8


class Jar(NamedTuple):
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """As Maven names it; no two jars of the lock share one."""
        return f"{self.artifact}-{self.version}.jar"


def folder(cache: Path) -> Path:
    """Where the jars of this lock lie; a changed lock has another folder."""
    return cache / f"kafka-{KAFKA}-{_sha256(LOCK)[:12]}"


def fetch(cache: Path, report: Callable[[int, int], None] = lambda _done, _all: None) -> Path:
    """The folder with every jar of the lock, downloaded first where it is missing.

    `report(done, all)` follows the download. The folder appears complete or not at all, so a
    broken download is begun again. Raises `StackError` without a network or on a wrong hash.
    """
    target = folder(cache)
    if target.is_dir():
        return target
    jars = _locked()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as scratch:
        made = Path(scratch, "jars")
        made.mkdir()
        context = _context(Path(scratch, "maven"))
        with _system_certificates(), ThreadPoolExecutor(CONNECTIONS_MAX) as pool:
            waiting = [pool.submit(_download, context, jar, made) for jar in jars]
            for done, future in enumerate(waiting, start=1):
                future.result()
                report(done, len(jars))
        _publish(made, target)
    return target


def lock() -> None:
    """Write `kafka.lock` anew: what Kafka needs, and a log4j binder so that it logs at all.

    The binder is resolved by itself: in one resolution with Kafka its dependencies pull
    kafka-clients down to 3.9, and the broker crashes.
    """
    with _system_certificates(), tempfile.TemporaryDirectory() as scratch:
        context = _context(Path(scratch))
        kafka = _resolved(context, f"org.apache.kafka:kafka_2.13:{KAFKA}")
        core = next(found for found in kafka if found.artifactId == "log4j-core")
        binder = f"org.apache.logging.log4j:log4j-slf4j-impl:{core.version}"
        lines = []
        for found in [*kafka, _resolved(context, binder)[0]]:
            digest = _sha256(found.artifact.resolve())
            lines.append(f"{found.groupId} {found.artifactId} {found.version} {digest}\n")
    LOCK.write_text("".join(sorted(lines)), encoding="utf-8")


def _locked() -> list[Jar]:
    return [Jar(*line.split()) for line in LOCK.read_text(encoding="utf-8").splitlines()]


def _context(repository: Path) -> MavenContext:
    return MavenContext(
        resolver=PythonResolver(),
        repo_cache=repository,
        local_repos=[],
        timeout=FETCH_TIMEOUT_SECONDS,
    )


def _resolved(context: MavenContext, coordinate: str) -> list[MavenDependency]:
    inputs, others = context.resolver.resolve([context.create_dependency(coordinate)])
    return [*inputs, *others]


def _download(context: MavenContext, jar: Jar, target: Path) -> None:
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    try:
        path = component.artifact().resolve()
    except (OSError, RuntimeError) as error:
        raise StackError(
            f"Kafka's {jar.filename} could not be downloaded from Maven Central: the first start "
            f"needs the network, later ones do not. ({_innermost(error)})"
        ) from error
    if _sha256(path) != jar.sha256:
        raise StackError(
            f"{jar.filename} as downloaded is not the file that deploy/local/kafka.lock names "
            "(wrong SHA-256): something between here and Maven Central changed it."
        )
    shutil.move(path, target / jar.filename)


def _publish(made: Path, target: Path) -> None:
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():  # else another process fetched them at the same time
            raise


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _system_certificates() -> Iterator[None]:
    """As pip does: what this machine trusts, and not only what the package certifi lists."""
    truststore.inject_into_ssl()
    try:
        yield
    finally:
        truststore.extract_from_ssl()


def _innermost(error: BaseException) -> str:
    """The network library wraps the reason in three exceptions."""
    inner = getattr(error, "reason", None) or next(iter(error.args), None)
    if isinstance(inner, BaseException):
        return _innermost(inner)
    return f"{type(error).__name__}: {str(error)[:120]}"


if __name__ == "__main__":
    if "--lock" in sys.argv:
        lock()
    else:
        try:
            fetch(Path(os.curdir, ".cache"))
        except StackError as error:
            sys.exit(f"laurel: {error}")
