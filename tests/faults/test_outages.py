"""mongod, the broker, the way to the database: gone, back, slow. What was acknowledged is decided.

How it would fail: `test_a_gateway_that_acknowledges_too_early_is_found` keeps the defect that the
clients' side of the comparison is for; the databases' side is that of the crash test.
"""

from pathlib import Path

import pytest

from deploy.local.servers import Servers
from shared.runtime.settings import Settings
from tests.faults.outages import (
    Outage,
    broker_away_while_announcing,
    broker_killed,
    database_slow,
    mongod_killed,
    outages,
)
from tests.faults.report import Report

pytestmark = [pytest.mark.faults, pytest.mark.slow]

SHORT = [mongod_killed(3), broker_killed(3), broker_away_while_announcing(15), database_slow(8)]
LONG = [mongod_killed(20), broker_killed(10), broker_away_while_announcing(60), database_slow(60)]


@pytest.mark.timeout(600)
def test_servers_that_die_and_come_back_one_after_the_other(
    servers: Servers, settings: Settings, tmp_path: Path, report: Report
) -> None:
    section = outages(settings, tmp_path, servers, SHORT)
    report.add(section)
    assert section.differences == []


@pytest.mark.faults_long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("outage", LONG, ids=lambda outage: outage.name)
def test_a_long_outage(
    servers: Servers, settings: Settings, tmp_path: Path, report: Report, outage: Outage
) -> None:
    section = outages(settings, tmp_path, servers, [outage])
    report.add(section)
    assert section.differences == []


@pytest.mark.faults_long
@pytest.mark.timeout(600)
def test_a_gateway_that_acknowledges_too_early_is_found(
    servers: Servers, settings: Settings, tmp_path: Path, report: Report
) -> None:
    section = outages(settings, tmp_path, servers, [broker_killed(8)], "acknowledged_too_early")
    section.title = "The same with a defect: acknowledged too early"
    report.add(section)
    assert [found for found in section.differences if "acknowledged, and lost" in found]
