"""Killed at every step, under load, with repeated ids: exact. And the test finds what it is for."""

from pathlib import Path

import pytest

from shared.runtime.settings import Settings
from tests.faults.crash import crash_test
from tests.faults.mutations import MUTATIONS

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]


def test_kills_at_every_step_change_nothing(settings: Settings, tmp_path: Path) -> None:
    report = crash_test(settings, tmp_path)
    print(report)
    assert report.never_hit() == []
    assert report.differences == []


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_crash_test_finds_the_lack_of_each_device(
    settings: Settings, tmp_path: Path, mutation: str
) -> None:
    report = crash_test(settings, tmp_path, mutation)
    print(report)
    assert report.differences
