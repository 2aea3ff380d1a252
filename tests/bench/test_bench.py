"""The bench works: a quick run measures everything, and what it says follows from what it found."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from bench import page, results, soak, table
from bench.__main__ import app
from bench.events import checkouts
from bench.ground import SECRET, Ground
from bench.options import QUICK
from bench.problems import BenchError
from bench.profiling import Profiler
from bench.stages import GROUPS, Group, run
from bench.usage import Measured, Usage
from bench.wire import Template
from deploy.local.servers import ROOT
from services.ingest.bodies import event_of
from services.ingest.domain.content import ContentKey
from services.ingest.domain.submission import Door, Ready, submit

FIGURES = {*results.RATES, *results.LATENCIES}
STAGES = {key for group in GROUPS for key in group.keys}


def measured(rate: float, worker: str = "points") -> Measured:
    """A run of one second in which the worker used 20 µs of an event and mongod 10."""
    events = int(rate)
    usages = {
        worker: Usage(events * 20e-6, 70.0, 80.0),
        "mongod": Usage(events * 10e-6, 500.0, 600.0),
        "kafka": Usage(0.0, 300.0, 300.0),
    }
    written = {"inserted": events, "updated": events // 2, "deleted": 0}
    more = {"watched": 9, "latency_p50_ms": 15.0, "latency_p99_ms": 37.0}
    return Measured(events, 1.0, usages, written, events * 100, 0.0, more)


def everything(**settings: Any) -> dict[str, Any]:
    """The result of a run in which every stage did a thousand a second."""
    runs = {key: [measured(1_000, "loop" if key == "loop_bulk" else "points")] for key in STAGES}
    known = {"quick": False, "cpu_count": 2, "cpu": "some", "memory_gb": 8, "commit": "abc"}
    return results.result(runs, {**known, "measured_at": "today", **settings})


def test_a_stage_that_fails_keeps_no_other_from_being_measured() -> None:
    def fails(*_: object) -> None:
        raise BenchError("too slow")

    def works(*parts: Any) -> None:
        parts[-1].add("points", measured(1_000))

    groups = (Group("first", ("journal",), fails), Group("second", ("points",), works))
    said: list[str] = []
    ground = cast(Ground, SimpleNamespace(options=QUICK))
    findings = run(ground, groups, ("journal", "points"), Profiler(), said.append)
    assert findings.failed == {"first": "too slow"}
    assert findings.runs.keys() == {"points"}
    assert "  failed: too slow" in said


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_quick_run_measures_every_figure(tmp_path: Path) -> None:
    out = tmp_path / "pipeline.json"
    command = [sys.executable, "-m", "bench", "--quick", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found.keys() == FIGURES | {"ratios", "settings", "stages"}
    assert found["stages"].keys() == STAGES
    assert all(found[key] > 0 for key in FIGURES)
    assert found["ratios"].keys() == table.RATIO_NAMES.keys()
    assert found["settings"]["quick"]
    for key, least in {"journal": 1, "points": 1, "pipeline": 2, "pipeline_full": 2}.items():
        assert found["stages"][key]["documents_per_event"] >= least, key
        assert found["stages"][key]["processes"]["mongod"]["rss_end_mb"] > 0


def test_a_figure_is_the_median_of_its_repetitions() -> None:
    found = results.result({"points": [measured(900), measured(1_100), measured(1_000)]}, {})
    assert found["points"] == 1_000
    assert found["stages"]["points"]["rates"] == [900, 1_100, 1_000]
    assert found["stages"]["points"]["cpu_microseconds_per_event"] == 30
    assert found["stages"]["points"]["documents_per_event"] == 1.5


def test_what_was_not_measured_is_null() -> None:
    found = results.result({"journal": [measured(1_000)]}, {})
    assert {key for key in FIGURES if found[key] is not None} == {"journal"}
    assert found["ratios"] == {}


def test_ratios_are_of_the_same_run() -> None:
    runs = {"points": [measured(800)], "loop_bulk": [measured(1_000, "loop")]}
    assert results.ratios(runs) == {"points_to_loop_bulk": 0.8, "points_to_loop_bulk_by_cpu": 1.0}


def test_the_page_tells_every_figure() -> None:
    text = page.text(everything(), None)
    assert text.count("1,000 events/s") == len(results.RATES)
    assert "p50 15.0 ms, p99 37.0 ms" in text
    assert "not quiet" not in text
    assert "<!--" not in text


def test_the_page_says_when_the_machine_was_not_quiet() -> None:
    found = everything()
    found["stages"]["points"]["others_cores"] = 0.7
    assert "points alone 0.7" in page.text(found, None)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        pytest.param({**everything(), "points": None}, "not measured: points", id="a part"),
        pytest.param(everything(quick=True), "a quick run", id="a quick run"),
    ],
)
def test_no_page_is_made_of_less_than_everything(found: Mapping[str, Any], why: str) -> None:
    with pytest.raises(BenchError, match=why):
        page.text(found, None)


def test_a_process_that_grows_is_named() -> None:
    times = [float(second) for second in range(0, 600, 5)]
    steady, growing = [70.0] * len(times), [70.0 + at / 30 for at in times]
    samples = {"journal": steady, "points": growing, "mongod": growing}
    found = soak.report(times, samples, {"events": 1, "seconds": 600.0})
    assert soak.not_flat(found) == ["points"]
    assert found["processes"]["points"]["grows_mb_in_ten_minutes"] == 20
    assert "grows" in page.text(everything(), {**found, "settings": {"commit": "abc"}})


def test_memory_that_jitters_is_flat() -> None:
    times = [float(second) for second in range(0, 600, 5)]
    values = [70.0 + second % 10 / 5 for second in times]
    found = soak.report(times, {"points": values}, {"events": 1, "seconds": 600.0})
    assert soak.not_flat(found) == []


def test_an_unknown_stage_is_refused_with_the_known_ones() -> None:
    done = CliRunner().invoke(app, ["--only", "journal,speed"], env={"COLUMNS": "300"})
    assert done.exit_code == 2
    assert "no stage speed" in done.output
    assert "loop_per_event" in done.output


def test_the_events_of_two_runs_are_the_same() -> None:
    first, second = (list(checkouts(20, ["a", "b", "c"], 2)) for _ in range(2))
    assert first == second
    assert len({made.body for made in first}) == 20


def test_the_load_of_the_gateway_is_what_it_takes() -> None:
    template, door = Template("run", 7), Door(ContentKey(SECRET, "demo").hash, lambda: "never")
    bodies = [template.body(number).encode() for number in range(20)]
    taken = [submit(event_of(body, "application/json"), door) for body in bodies]
    assert all(isinstance(answer, Ready) for answer in taken)
    assert len({answer.id for answer in taken if isinstance(answer, Ready)}) == 20
    assert len(set(map(len, bodies))) == 1
