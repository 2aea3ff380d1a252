"""Workers come, go and stay away: partitions move, nothing is doubled, nothing is left out.

How it would fail: two workers with one partition decide its events twice, or one overwrites the
other's balances; a position that does not move with its partition repeats events or leaves them
out; a partition that nobody has is never caught up with. `test_crashes.py` keeps a worker without
the epoch's check, and finds it by the same comparison.
"""

from pathlib import Path

import pytest

from shared.runtime.settings import Settings
from tests.faults.replacement import replacement
from tests.faults.report import Report
from tests.faults.staging import add_worker, events, wait
from tests.faults.storm import Storm, storm
from tests.running import stack_of

ENDED_SECONDS = 60.0

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.mark.timeout(600)
def test_a_worker_that_stays_dead_is_replaced_by_the_one_beside_it(
    settings: Settings, tmp_path: Path, report: Report
) -> None:
    section = replacement(settings, tmp_path)
    report.add(section)
    assert section.differences == []


@pytest.mark.timeout(600)
def test_workers_that_come_and_go_change_nothing(
    settings: Settings, tmp_path: Path, report: Report
) -> None:
    section = storm(settings, tmp_path, Storm(["points", "journal"], steady_seconds=3))
    report.add(section)
    assert section.differences == []


@pytest.mark.timeout(600)
def test_a_worker_whose_name_another_takes_ends(settings: Settings, tmp_path: Path) -> None:
    """A consumer that the group has fenced never gets a message again, and says so only once:
    who goes on with it owns partitions that nobody reads."""
    with stack_of(settings, tmp_path) as stack:
        first = stack.processes["first"] = add_worker(stack, "points")
        stack.start("first")
        second = add_worker(stack, "points")
        second.start()
        assert wait(lambda: first.running.poll() is not None, ENDED_SECONDS)
        assert first.running.returncode == 1
        assert events(first)["stopped"] == 1
        second.wait_ready()


@pytest.mark.faults_long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("service", ["points", "journal"])
def test_a_long_storm(settings: Settings, tmp_path: Path, report: Report, service: str) -> None:
    wanted = Storm([service], sizes=(1, 3, 2, 3, 1, 2, 3), steady_seconds=8)
    section = storm(settings, tmp_path, wanted)
    report.add(section)
    assert section.differences == []
