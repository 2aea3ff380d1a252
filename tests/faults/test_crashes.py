"""Killed at every step, under load, with repeated ids: exact. And the test finds what it is for."""

from dataclasses import replace
from pathlib import Path

import pytest

from shared.runtime.settings import Settings
from tests.faults.crash import Ordeal, crash_test
from tests.faults.mutations import MUTATIONS
from tests.faults.report import Report

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(600)]

# Of the whole ordeal, the part that shows a defect (the rest would only take longer), and how.
REVEALED_BY: dict[str, Ordeal] = {
    "position_outside_the_transaction": Ordeal(
        ("between_writes", "before_commit"), frozen=False, evidence=" follows "
    ),
    "no_resend": Ordeal(("after_commit", "before_produce"), frozen=False, evidence=" follows "),
    "no_dedupe": Ordeal((), frozen=False, evidence="was decided twice"),
    "no_epoch_check": Ordeal((), frozen=True, evidence="not refused by the epoch"),
}


def test_kills_at_every_step_change_nothing(
    settings: Settings, tmp_path: Path, report: Report
) -> None:
    crashes = crash_test(settings, tmp_path)
    report.add(crashes.section("A kill at every step, and a worker that freezes"))
    assert crashes.never_hit() == []
    assert crashes.differences == []


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_crash_test_finds_the_lack_of_each_device(
    settings: Settings, tmp_path: Path, report: Report, mutation: str
) -> None:
    ordeal = replace(REVEALED_BY[mutation], events=500, kills_seconds=30, refused_seconds=3)
    crashes = crash_test(settings, tmp_path, ordeal, mutation)
    title = f"The same with a defect: {mutation.replace('_', ' ')}"
    report.add(crashes.section(title, "Over as soon as the defect has shown itself."))
    assert [found for found in crashes.differences if ordeal.evidence in found]
