"""Servers for the fault tests alone, which may kill them; the report; the long ones on demand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.servers import Servers, running
from tests.faults.report import Report

LONG = "faults_long"
OUT = Path(__file__).parent / "out"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long ones run only where `-m` asks for them by name (`make test-faults`)."""
    if LONG in config.getoption("-m"):
        return
    long = [item for item in items if item.get_closest_marker(LONG)]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Kafka and one mongod for all fault tests, beside those of the other tests."""
    with running(tmp_path_factory.mktemp("servers-to-kill")) as both:
        yield both


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Report:
    """What ran is told in a file: `report.md` of the long ones, else `report-short.md`."""
    long = any(item.get_closest_marker(LONG) for item in request.session.items)
    return Report(OUT / ("report.md" if long else "report-short.md"))
