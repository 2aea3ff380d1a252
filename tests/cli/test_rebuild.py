"""`laurel rebuild points` as it is typed: what it refuses, and the empty state."""

import pytest
from typer.testing import CliRunner, Result

from cli.__main__ import app
from shared.runtime.settings import Settings
from tests.running import variables_of


def laurel(settings: Settings, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    for name, value in variables_of(settings).items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(app, ["rebuild", "points", *words])


def test_before_anything_was_decided_it_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = laurel(settings, monkeypatch)
    assert (ran.exit_code, ran.stdout) == (
        0,
        "Nothing was decided yet, so there is nothing to rebuild.\n",
    )


def test_a_database_that_is_away_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.runtime.mongo.SERVER_SELECTION_MS", 100)
    ran = laurel(Settings(mongo_url="mongodb://127.0.0.1:1/"), monkeypatch)
    assert ran.exit_code == 1
    assert "MongoDB" in str(ran.exception)


def test_where_nothing_is_switched_nothing_can_be_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran = laurel(Settings(), monkeypatch, "--compare-only", "--accept-differences")
    assert "there is nothing to accept" in str(ran.exception)


def test_its_help_says_what_traffic_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = laurel(Settings(), monkeypatch, "--help")
    assert "points decides nothing for a few seconds" in " ".join(ran.stdout.split())
