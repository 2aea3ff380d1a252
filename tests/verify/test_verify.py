"""Verify finds nothing on a healthy database, also under load, and every kind of damage to one."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli.verify.audit import Audit, run
from cli.verify.findings import CHECKED, Findings, shown
from deploy.local.servers import ROOT
from shared.runtime.settings import Settings
from tests.running import variables_of
from tests.verify import damage
from tests.verify.run import EVENTS, Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _found(settings: Settings, *partitions: int) -> Findings:
    return run(Audit(settings, frozenset(partitions), limit=1_000)).found


def _laurel(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "cli", "verify", *words),
        cwd=ROOT,
        env=variables_of(settings),
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_is_found_while_customers_are_parked(made: Run) -> None:
    assert made.while_parked is not None
    assert len(made.parked) > 1
    assert made.while_parked.found.differences == []
    assert made.while_parked.found.checked["points.parked"] >= len(made.parked)


def test_nothing_is_found_under_load(made: Run) -> None:
    events = [audited.found.checked["journal.events"] for audited in made.under_load]
    assert [audited.found.differences for audited in made.under_load] == [[]] * len(events)
    assert len(events) > 1
    assert events[0] < events[-1]


def test_nothing_is_found_afterwards_and_everything_was_looked_at(made: Run) -> None:
    found = _found(made.settings)
    assert found.differences == []
    assert found.checked["journal.events"] > EVENTS
    assert [where for where in CHECKED if not found.checked[where]] == ["customers.parked"]


@pytest.mark.parametrize("kind", damage.KINDS)
def test_damage_is_found_and_named_and_nothing_is_left_when_it_is_undone(
    made: Run, kind: str
) -> None:
    settings = made.settings
    deed = damage.damage(settings.mongo_url, settings.namespace, kind)
    found = _found(settings, deed.partition)
    damage.undo(settings.mongo_url, deed)
    named = [each for each in found.differences if each.where == deed.where]
    print(*found.differences, sep="\n")
    assert (deed.customer, shown(deed.id)) in {(each.customer, each.id) for each in named}
    assert _found(settings, deed.partition).differences == []


def test_the_damage_is_done_by_a_script_that_shares_nothing_with_us() -> None:
    tree = ast.parse(Path(damage.__file__).read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= {"bson", "pymongo"} | sys.stdlib_module_names
    assert len(damage.TEN) == 10


def test_the_command_says_what_was_checked_and_ends_with_0(made: Run) -> None:
    ended = _laurel(made.settings)
    assert ended.returncode == 0, ended.stderr
    assert "0 differences: " in ended.stdout
    assert "points.states" in ended.stdout


def test_the_command_shows_some_counts_all_and_ends_with_1(made: Run, tmp_path: Path) -> None:
    settings = made.settings
    deeds = [
        damage.damage(settings.mongo_url, settings.namespace, kind)
        for kind in ("wrong_balance", "changed_card", "changed_profile")
    ]
    page, as_json = _laurel(settings, "--limit", "1"), _laurel(settings, "--json")
    for deed in deeds:
        damage.undo(settings.mongo_url, deed)
    assert (page.returncode, as_json.returncode) == (1, 1)
    audited = json.loads(as_json.stdout)
    assert audited["differences"] == sum(audited["differing"].values()) >= 3
    assert {each["customer"] for each in audited["shown"]} >= {deed.customer for deed in deeds}
    assert f"… and {audited['differences'] - 1} more" in page.stdout


def test_a_namespace_with_nothing_in_it_is_said_not_praised(made: Run) -> None:
    ended = _laurel(made.settings.model_copy(update={"namespace": "no-such-one"}))
    assert ended.returncode == 1
    assert "namespace no-such-one has no journal" in ended.stderr


def test_a_partition_that_does_not_exist_is_said(made: Run) -> None:
    ended = _laurel(made.settings, "--partition", "8")
    assert ended.returncode == 1
    assert "there is no partition 8" in ended.stderr
