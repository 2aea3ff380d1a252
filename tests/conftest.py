"""What every test may ask for: real servers of the suite's own, and settings on them."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr
from pymongo import MongoClient

from deploy.local.programs import SERVICES
from deploy.local.servers import Servers, running
from shared.runtime.kafka import create_topics
from shared.runtime.settings import Settings
from tests.running import Stack, stack_of

NUMBERS = itertools.count(1)
hypothesis.settings.register_profile(
    "laurel", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("laurel")
# A busy machine is no defect of what is tested: timings are never asserted.

RUN = uuid4().hex[:6]
"""Names beside those of another run on the same servers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m "not servers"` leaves out whatever asks for the servers, directly or not."""
    for item in items:
        if "servers" in getattr(item, "fixturenames", ()):
            item.add_marker("servers")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Kafka and one mongod for the whole run, on free ports, beside any other stack.

    A test that kills or freezes one must leave both ready again.
    """
    with running(tmp_path_factory.mktemp("servers")) as both:
        yield both


@pytest.fixture
def settings(servers: Servers) -> Iterator[Settings]:
    """A namespace of the test's own: its topics exist, its databases are empty."""
    made = Settings(
        namespace=f"t{next(NUMBERS)}-{RUN}",
        kafka_servers=servers.kafka_servers,
        mongo_url=servers.mongo_url,
        keys=SecretStr(
            "local-admin-key:demo:admin,local-read-key:demo:read,local-other-key:other:admin"
        ),
        content_secret=SecretStr("a-fixed-secret-of-the-tests-0001"),
        virtual_clock=True,
    )
    create_topics(made)
    yield made
    _forget(made)


@pytest.fixture
def stack(settings: Settings, tmp_path: Path) -> Iterator[Stack]:
    """Every service as a process on `settings`, ready, with clients' addresses."""
    with stack_of(settings, tmp_path) as made:
        for service in SERVICES:
            made.add(service.name)
        made.start()
        yield made


def _forget(settings: Settings) -> None:
    """Hundreds of tests' topics and databases would slow down the later ones."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_servers})
    topics = admin.list_topics(timeout=10).topics
    ours = [name for name in topics if name.startswith(f"{settings.namespace}.")]
    if ours:
        for future in admin.delete_topics(ours).values():
            future.result(timeout=10)
    with MongoClient[dict[str, object]](settings.mongo_url) as client:
        for name in client.list_database_names():
            if name.startswith(f"{settings.namespace}_"):
                client.drop_database(name)
