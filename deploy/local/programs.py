"""What the local stack runs: the table of its services, and what each gets from the settings."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.local import kafka, mongod
from deploy.local.launch import Launch, serves
from shared.runtime.settings import PREFIX, Settings

WORKERS_PORT = 8090
"""The first worker's health port; the others follow. `LAUREL_HEALTH_PORT` moves them."""


@dataclass(frozen=True, slots=True)
class Service:
    """One process of ours: `python -m <module> [<role>]`."""

    name: str
    module: str
    role: str = ""
    port: str = ""
    """The setting that holds its HTTP port; a worker has none and gets a health port."""


SERVICES = (
    Service("program", "services.program", port="program_port"),
    Service("journal", "services.ingest", "journal"),
    Service("customers", "services.customers"),
    Service("points", "services.points"),
    Service("cards", "services.query", "cards"),
    Service("query", "services.query", "api", port="query_port"),
    Service("gateway", "services.ingest", "gateway", port="gateway_port"),
)


def servers(settings: Settings, folder: Path, jars: Callable[[], Path]) -> list[Launch]:
    """Kafka and mongod with their data in `folder`; not those whose address was given."""
    launches = []
    if starts_kafka(settings):
        port = settings.kafka_port
        launches.append(kafka.prepare(folder / "kafka", jars(), port, controller_port=port + 1))
    if starts_mongod(settings):
        launches.append(
            mongod.prepare(folder / "mongo", settings.mongo_port, settings.mongo_cache_gb)
        )
    return launches


def services(settings: Settings, root: Path, python: Path) -> list[Launch]:
    """Every service of the table, with its port."""
    workers = iter(range(settings.health_port or WORKERS_PORT, 65_536))
    return [_launch(service, settings, root, python, workers.__next__) for service in SERVICES]


def starts_kafka(settings: Settings) -> bool:
    """Whether Kafka is ours to start."""
    return "kafka_servers" not in settings.model_fields_set


def starts_mongod(settings: Settings) -> bool:
    """Whether mongod is ours to start."""
    return "mongo_url" not in settings.model_fields_set


def signatures(folder: Path) -> dict[str, str]:
    """How to know each process of the stack in `folder` again, by name."""
    return {
        "kafka": kafka.signature(folder / "kafka"),
        "mongod": mongod.signature(folder / "mongo"),
        **{service.name: _signature(service) for service in SERVICES},
    }


def is_ready(name: str, port: int) -> bool:
    """Whether the program of that name, listening on `port`, can do its work.

    Raises `StackError` where it never will.
    """
    checks = {"kafka": kafka.is_ready, "mongod": mongod.is_ready}
    return checks.get(name, serves)(port)


def _launch(
    service: Service,
    settings: Settings,
    root: Path,
    python: Path,
    next_worker_port: Callable[[], int],
) -> Launch:
    http = bool(service.port)
    port = getattr(settings, service.port) if http else next_worker_port()
    return Launch(
        name=service.name,
        command=(str(python), "-m", service.module, *filter(None, [service.role])),
        directory=root,
        port=port,
        is_ready=serves,
        is_service=True,
        signature=_signature(service),
        setting=f"{PREFIX}{(service.port or 'health_port').upper()}",
        environment={f"{PREFIX}HEALTH_PORT": "0" if http else str(port)},
    )


def _signature(service: Service) -> str:
    return f"-m {service.module} {service.role}".strip() + " "
