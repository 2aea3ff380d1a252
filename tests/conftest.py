"""What every test may ask for: real servers of the suite's own, and settings on them."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from deploy.local.programs import SERVICES
from deploy.local.servers import Servers
from shared.runtime.settings import Settings
from tests.backends import CONTAINERS, PACKAGES, chosen, described, started
from tests.namespaces import namespace_on
from tests.running import Stack, stack_of

hypothesis.settings.register_profile(
    "laurel", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("laurel")
# A busy machine is no defect of what is tested: timings are never asserted.

BACKEND = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--servers`: where Kafka and mongod come from."""
    parser.addoption(
        "--servers",
        choices=("auto", CONTAINERS, PACKAGES),
        default="auto",
        help="Kafka and mongod: in containers, from packages, or (auto) as this machine allows",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Asks once whether there is an engine."""
    config.stash[BACKEND] = chosen(config.getoption("--servers"))


def pytest_report_header(config: pytest.Config) -> str:
    """Which servers a run with servers uses."""
    return described(config.stash[BACKEND], config.getoption("--servers"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m "not servers"` leaves out whatever asks for the servers, directly or not."""
    for item in items:
        if "servers" in getattr(item, "fixturenames", ()):
            item.add_marker("servers")


@pytest.fixture(scope="session")
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """One Kafka and one mongod for the whole run, on free ports, beside any other stack.

    A test that kills or freezes one must leave both ready again.
    """
    backend = request.config.stash[BACKEND]
    with started(backend, tmp_path_factory.mktemp("servers")) as both:
        yield both


@pytest.fixture
def settings(servers: Servers) -> Iterator[Settings]:
    """A namespace of the test's own: its topics exist, its databases are empty."""
    with namespace_on(servers) as made:
        yield made


@pytest.fixture
def stack(settings: Settings, tmp_path: Path) -> Iterator[Stack]:
    """Every service as a process on `settings`, ready, with clients' addresses."""
    with stack_of(settings, tmp_path) as made:
        for service in SERVICES:
            made.add(service.name)
        made.start()
        yield made
