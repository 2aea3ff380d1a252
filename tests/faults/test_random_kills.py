"""Killed at random moments while events stream: every balance exact, everything applied once.

How it would fail: `test_crashes.py` keeps four defects (position outside the transaction, no
resend, no dedupe, no epoch check) and runs the same comparison on each of them; and
`test_checks.py` damages what the comparison reads, piece by piece.
"""

from pathlib import Path

import pytest

from shared.runtime.settings import Settings
from tests.faults.random_kills import Volley, random_kills
from tests.faults.report import Report

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.mark.timeout(600)
def test_some_kills_at_random_moments(settings: Settings, tmp_path: Path, report: Report) -> None:
    volley = Volley(events=12_000, per_second=800, kills=8, customers=300)
    section = random_kills(settings, tmp_path, volley)
    report.add(section)
    assert section.differences == []


@pytest.mark.faults_long
@pytest.mark.timeout(600)
def test_twenty_kills_while_a_hundred_thousand_events_stream(
    settings: Settings, tmp_path: Path, report: Report
) -> None:
    volley = Volley(events=100_000, per_second=700, kills=20, customers=2_000)
    section = random_kills(settings, tmp_path, volley)
    report.add(section)
    assert section.differences == []
