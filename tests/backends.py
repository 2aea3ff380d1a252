"""Where the suite's Kafka and mongod come from: containers where Docker runs, else packages."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import docker
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from deploy.local import jars, kafka, mongod
from deploy.local.launch import Launch
from deploy.local.processes import free_ports
from deploy.local.servers import Server, Servers, running

KAFKA_IMAGE = f"apache/kafka:{jars.KAFKA}"
MONGO_IMAGE = "mongo:7.0"
DATA = "/var/lib/kafka/data"
ENGINE_SECONDS = 3
"""What an engine may take to say that it is there."""
CONTAINERS, PACKAGES = "containers", "packages"


def chosen(wish: str) -> str:
    """`auto`: containers where a Docker engine answers, else packages; any other wish is kept."""
    if wish != "auto":
        return wish
    return CONTAINERS if engine_answers() else PACKAGES


def engine_answers() -> bool:
    """Whether a Docker engine is there, as the environment says where."""
    try:
        client = docker.from_env(timeout=ENGINE_SECONDS)
    except DockerException:
        return False
    try:
        return bool(client.ping())
    except DockerException:
        return False
    finally:
        client.close()


def described(backend: str, wish: str) -> str:
    """One line for the head of a run."""
    if backend == CONTAINERS:
        return f"servers: {KAFKA_IMAGE} and {MONGO_IMAGE} in containers"
    why = "as asked for" if wish == PACKAGES else "no Docker engine answers"
    return f"servers: Kafka {jars.KAFKA} and mongod from packages ({why})"


@contextmanager
def started(backend: str, folder: Path) -> Iterator[Servers]:
    """Both, ready, on free ports of 127.0.0.1."""
    opened = in_containers() if backend == CONTAINERS else running(folder)
    with opened as both:
        yield both


@contextmanager
def in_containers() -> Iterator[Servers]:
    """Both as containers with the settings of the local stack; gone with the run."""
    broker_port, mongo_port = free_ports(2)
    with ExitStack() as stack:
        # A tied child needs a thread that makes it; a container does not, so this one stays idle.
        starter = stack.enter_context(ThreadPoolExecutor(1))
        broker = Contained(kafka_launch(broker_port), kafka_container(broker_port), starter)
        database = Contained(mongo_launch(mongo_port), mongo_container(mongo_port), starter)
        for server in (broker, database):
            stack.callback(server.remove)
            server.start(wait=False)
        for server in (database, broker):
            server.wait_ready()
        yield Servers(broker, database)


class Contained(Server):
    """A server in a container that a test can kill, freeze and start again, on the same port."""

    def __init__(
        self, launch: Launch, container: DockerContainer, starter: ThreadPoolExecutor
    ) -> None:
        super().__init__(launch, Path(), starter)
        self._container = container
        self._made = False

    @property
    def pid(self) -> int:
        """Of the engine's child; only where the engine runs on this machine."""
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return int(wrapped.attrs["State"]["Pid"])

    def start(self, *, wait: bool = True) -> None:
        """Makes it, or starts it again with the data it had."""
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True
        if wait:
            self.wait_ready()

    def stop(self) -> None:
        """SIGTERM and wait."""
        self._container.get_wrapped_container().stop()

    def kill(self) -> None:
        """SIGKILL, as a crash does."""
        self._container.get_wrapped_container().kill()

    def freeze(self) -> None:
        """It answers nobody, and its connections stay open."""
        self._container.get_wrapped_container().pause()

    def thaw(self) -> None:
        """It goes on as if nothing had happened."""
        self._container.get_wrapped_container().unpause()

    def remove(self) -> None:
        """The container and its data."""
        if self._made:
            self._container.stop()


def kafka_container(port: int) -> DockerContainer:
    """The broker listens on the port by which it is reached: it tells clients that address."""
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(port, port)
    for name, value in kafka_variables(port).items():
        container.with_env(name, value)
    return container


def kafka_variables(port: int) -> dict[str, str]:
    """The local stack's properties as the official image takes them."""
    text = kafka.PROPERTIES.format(port=port, controller_port=port + 1)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    properties = dict(line.split("=", 1) for line in lines)
    inside = {
        "listeners": f"PLAINTEXT://:{port},CONTROLLER://:{port + 1}",
        "controller.quorum.voters": f"1@localhost:{port + 1}",
        "log.dirs": DATA,
    }
    named = {variable(name): value for name, value in (properties | inside).items()}
    return {**named, "CLUSTER_ID": kafka.CLUSTER_ID}


def variable(property_name: str) -> str:
    """`log.dirs` → `KAFKA_LOG_DIRS`."""
    return "KAFKA_" + property_name.upper().replace(".", "_")


def mongo_container(port: int) -> DockerContainer:
    """A replica set of one, which `mongod.is_ready` initiates under the address clients use."""
    settings = (
        "enableTestCommands=1",
        f"transactionLifetimeLimitSeconds={mongod.TRANSACTION_LIFETIME_SECONDS}",
    )
    words = ["--replSet", mongod.REPLICA_SET, "--port", str(port), "--bind_ip_all"]
    words += [word for setting in settings for word in ("--setParameter", setting)]
    return DockerContainer(MONGO_IMAGE).with_bind_ports(port, port).with_command(words)


def kafka_launch(port: int) -> Launch:
    """How to know that the broker is ready."""
    return _launch("kafka", port, "LAUREL_KAFKA_PORT")


def mongo_launch(port: int) -> Launch:
    """How to know that mongod is ready."""
    return _launch("mongod", port, "LAUREL_MONGO_PORT")


def _launch(name: str, port: int, setting: str) -> Launch:
    ready = {"kafka": kafka.is_ready, "mongod": mongod.is_ready}[name]
    return Launch(name, (), Path(), port, ready, signature="", setting=setting)
