"""Where things are measured: servers of the bench's own, a namespace for each stage, services."""

import itertools
import sys
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr
from pymongo import MongoClient

from bench.options import Options
from bench.problems import BenchError
from bench.usage import Watch
from cli import client, program
from deploy.local.launch import Launch, serves
from deploy.local.processes import free_ports
from deploy.local.programs import SERVICES
from deploy.local.servers import ROOT, Server, Servers, running, tail
from shared.runtime.kafka import ERRORS_ONLY, create_topics, ends, open_reader
from shared.runtime.ports import Document
from shared.runtime.settings import PREFIX, Settings

KEY = "local-admin-key"
KEYS = f"{KEY}:demo:admin,local-read-key:demo:read"
SECRET = "a-fixed-secret-of-the-bench-0001"
UNLIMITED = 10_000_000
"""Events a second: rates are counted, as in production, and never reached."""
WAIT_SECONDS = 300.0
"""More than any stage takes on a machine that does nothing else."""
POLL_SECONDS = 0.02
ADMIN_SECONDS = 30.0

Until = Callable[[], bool]


@dataclass(slots=True)
class Stage:
    """One namespace: its settings, its databases, and its services as processes."""

    settings: Settings
    mongo: MongoClient[Document]
    servers: Servers
    folder: Path
    starter: ThreadPoolExecutor
    _services: dict[str, Server] = field(default_factory=dict)

    def start(self, *names: str, wait: bool = True) -> None:
        """Starts services; waits until each is ready unless told not to."""
        for name in names:
            if name not in self._services:
                launch = _launch(name, self.settings)
                log = self.folder / f"{self.settings.namespace}-{name}.log"
                self._services[name] = Server(launch, log, self.starter)
            self._services[name].start(wait=False)
        if wait:
            for name in names:
                self._services[name].wait_ready()

    def stop(self, *names: str) -> None:
        """Orderly; none named: all."""
        for name in names or list(self._services):
            self._services[name].stop()

    def pids(self, *names: str) -> dict[str, int]:
        """Of these services, and of both servers."""
        servers = {"mongod": self.servers.mongod.pid, "kafka": self.servers.kafka.pid}
        return {name: self._services[name].pid for name in names} | servers

    def watch(self, *names: str, **more: int) -> Watch:
        """Over these services, the servers, and more processes by name."""
        return Watch(self.pids(*names) | more, self.mongo)

    def wait(self, what: str, until: Until, every_seconds: float = POLL_SECONDS) -> None:
        """Raises `BenchError` with the end of each log where it does not come true."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not until():
            if time.monotonic() > deadline:
                logs = "\n".join(tail(server.log, 5) for server in self._services.values())
                raise BenchError(f"{what}: not within {WAIT_SECONDS:.0f} s\n{logs}")
            time.sleep(every_seconds)

    def settle(self) -> None:
        """A checkpoint now, so that none of what came before falls into the measurement."""
        self.mongo.admin.command("fsync")


@dataclass(slots=True)
class Ground:
    """The servers, and namespaces on them."""

    options: Options
    servers: Servers
    folder: Path
    _starter: ThreadPoolExecutor
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """A fresh namespace with the program that the demo has; gone at the end."""
        settings = self._settings(f"{name}-{next(self._numbers)}")
        _lead(settings, create_topics(settings))
        with ExitStack() as stack:
            mongo = stack.enter_context(MongoClient[Document](settings.mongo_url, tz_aware=True))
            stack.callback(_forget, settings, mongo)
            made = Stage(settings, mongo, self.servers, self.folder, self._starter)
            stack.callback(made.stop)
            yield made

    def _settings(self, namespace: str) -> Settings:
        gateway, programs, query = free_ports(3)
        return Settings(
            namespace=namespace,
            kafka_servers=self.servers.kafka_servers,
            mongo_url=self.servers.mongo_url,
            partitions=self.options.partitions,
            gateway_port=gateway,
            program_port=programs,
            query_port=query,
            keys=SecretStr(KEYS),
            content_secret=SecretStr(SECRET),
            rate_events_per_second=UNLIMITED,
            rate_burst_events=UNLIMITED,
        )


@contextmanager
def opened(options: Options, folder: Path) -> Iterator[Ground]:
    """Kafka and mongod on free ports with their data in `folder`; ready when yielded."""
    with ExitStack() as stack:
        servers = stack.enter_context(running(folder, cache_gb=options.cache_gb))
        starter = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="services"))
        yield Ground(options, servers, folder, starter)


def set_up_program(stage: Stage) -> None:
    """An account that earns 10 % of each basket. The program service must run."""
    with client.Service(client.program_url(stage.settings), KEY) as programs:
        program.ensure(programs)


def _launch(name: str, settings: Settings) -> Launch:
    service = next(service for service in SERVICES if service.name == name)
    port = getattr(settings, service.port) if service.port else free_ports(1)[0]
    health = {f"{PREFIX}HEALTH_PORT": "0" if service.port else str(port)}
    return Launch(
        name=name,
        command=(sys.executable, "-m", service.module, *filter(None, [service.role])),
        directory=ROOT,
        port=port,
        is_ready=serves,
        signature="",
        setting=f"{PREFIX}{(service.port or 'health_port').upper()}",
        environment=variables(settings) | health,
    )


def variables(settings: Settings) -> dict[str, str]:
    """The settings as the environment of a process."""
    values = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {
        f"{PREFIX}{name.upper()}": value.get_secret_value()
        if isinstance(value, SecretStr)
        else str(value)
        for name, value in values.items()
    }


def _lead(settings: Settings, topics: Collection[str]) -> None:
    """Until the broker leads every partition: some time after it has said that the topic exists."""
    reader, deadline = open_reader(settings), time.monotonic() + ADMIN_SECONDS
    try:
        for topic in topics:
            while True:
                try:
                    ends(reader, topic, settings.partitions, ADMIN_SECONDS)
                    break
                except KafkaException:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(POLL_SECONDS)
    finally:
        reader.close()


def _forget(settings: Settings, mongo: MongoClient[Document]) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka_servers, "log_level": ERRORS_ONLY})
    topics = admin.list_topics(timeout=ADMIN_SECONDS).topics
    ours = [name for name in topics if name.startswith(f"{settings.namespace}.")]
    for future in admin.delete_topics(ours).values():
        future.result(timeout=ADMIN_SECONDS)
    for name in mongo.list_database_names():
        if name.startswith(f"{settings.namespace}_"):
            mongo.drop_database(name)
