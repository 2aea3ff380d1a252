"""Killed at every step, under load, with repeated ids: exact. And the test finds what it is for."""

from pathlib import Path

import pytest

from shared.runtime.faults import Step
from shared.runtime.settings import Settings
from tests.faults.crash import Ordeal, crash_test
from tests.faults.mutations import MUTATIONS

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300)]

# Of the whole ordeal, the part that shows a defect: the rest would only take longer.
REVEALED_BY: dict[str, tuple[tuple[Step, ...], bool]] = {
    "position_outside_the_transaction": (("between_writes", "before_commit"), False),
    "no_resend": (("after_commit", "before_produce"), False),
    "no_dedupe": ((), False),
    "no_epoch_check": ((), True),
}


def test_kills_at_every_step_change_nothing(settings: Settings, tmp_path: Path) -> None:
    report = crash_test(settings, tmp_path)
    print(report)
    assert report.never_hit() == []
    assert report.differences == []


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_crash_test_finds_the_lack_of_each_device(
    settings: Settings, tmp_path: Path, mutation: str
) -> None:
    steps, frozen = REVEALED_BY[mutation]
    ordeal = Ordeal(steps, frozen, kills_seconds=30, caught_up_seconds=10)
    report = crash_test(settings, tmp_path, ordeal, mutation)
    print(report)
    assert report.differences
