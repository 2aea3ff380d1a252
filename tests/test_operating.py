"""The operator's page, the alert rules and the code speak of the same metrics and log lines."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from deploy.local.programs import SERVICES, WORKERS_PORT
from shared.runtime.settings import Settings
from tests.test_docs import anchors

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "operating" / "metrics.md"
OBSERVABILITY = ROOT / "deploy" / "observability"
SOURCES = [path for folder in ("services", "shared") for path in (ROOT / folder).rglob("*.py")]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}

KINDS = {"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram", "Info": "info"}
SUFFIXES = {"counter": ["_total"], "gauge": [""], "info": ["_info"],
            "histogram": ["_bucket", "_sum", "_count"]}  # fmt: skip
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
EVERY_LINE_HAS = {"service", "worker", "exc_info"}
FOREIGN = {"up", "process_start_time_seconds"}
"""Metrics of Prometheus and of its client."""
LABELS = {"service", "topic", "outcome", "reason", "result", "status", "tenant", "version"}
"""Closed sets: services, topics, words of ours, codes, the tenants of the settings' keys."""
PROMETHEUS_LABELS = {"job", "instance", "le"}


class Metric(NamedTuple):
    """A metric by the name that is scraped; of a histogram its common part."""

    name: str
    kind: str
    labels: frozenset[str]


class Line(NamedTuple):
    """A log line: its event, level, and what it says beside what every line has."""

    event: str
    level: str
    fields: frozenset[str]


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def _metrics() -> dict[str, Metric]:
    """Every metric that the code registers."""
    found = {}
    for _, call in _calls():
        kind = KINDS.get(call.func.id, "") if isinstance(call.func, ast.Name) else ""
        if kind and call.args and isinstance(call.args[0], ast.Constant):
            name = str(call.args[0].value)
            name += SUFFIXES[kind][0] if kind in ("counter", "info") else ""
            labels = ast.literal_eval(call.args[2]) if len(call.args) > 2 else []
            if kind == "info":
                labels = ["version"]
            found[name] = Metric(name, kind, frozenset(labels))
    return found


def _log_calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Place, level and call of everything that logs."""
    for place, call in _calls():
        if isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS:
            logger = ast.unparse(call.func.value)
            if re.search(r"(^|[._])log(ger)?$", logger):
                yield place, call.func.attr, call


def _lines() -> dict[tuple[str, str], Line]:
    found: dict[tuple[str, str], Line] = {}
    for _, level, call in _log_calls():
        event = call.args[0]
        assert isinstance(event, ast.Constant)
        told = {keyword.arg or "**" for keyword in call.keywords} - EVERY_LINE_HAS
        key = (str(event.value), "error" if level == "exception" else level)
        known = found[key].fields if key in found else frozenset()
        found[key] = Line(*key, known | told)
    return found


def _rows(columns: int) -> list[list[str]]:
    """The page's rows of tables with so many columns, each cell without backticks."""
    text = PAGE.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [[row[0].strip("`"), *row[1:]] for row in rows if len(row) == columns]


def _words(cell: str) -> frozenset[str]:
    return frozenset(word.strip() for word in cell.split(",") if word.strip())


METRICS = _metrics()
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text(encoding="utf-8"))[
        "groups"
    ]
    for rule in group["rules"]
]
EACH_RULE = pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])


def test_the_page_has_every_metric_with_its_type_and_labels_and_no_other() -> None:
    page = {row[0]: Metric(row[0], row[1], _words(row[2])) for row in _rows(6)}
    assert page == METRICS


def test_a_metric_says_what_it_is_and_has_labels_of_closed_sets() -> None:
    assert all(metric.name.startswith("laurel_") for metric in METRICS.values())
    assert {label for metric in METRICS.values() for label in metric.labels} <= LABELS
    told = {row[0]: row[3] for row in _rows(6)}
    assert [name for name, meaning in told.items() if not meaning] == []


def test_who_should_worry_is_told_what_to_do() -> None:
    assert [row[0] for row in _rows(6) if row[4] and not row[5]] == []


def test_the_page_has_every_log_line_with_its_level_and_fields_and_no_other() -> None:
    page = {(row[0], row[1]): Line(row[0], row[1], _words(row[2])) for row in _rows(5)}
    assert page == _lines()


def test_a_log_line_is_named_by_one_constant_word() -> None:
    wrong = [
        place
        for place, _, call in _log_calls()
        if not call.args
        or not isinstance(call.args[0], ast.Constant)
        or not re.fullmatch(r"[a-z_]+", str(call.args[0].value))
    ]
    assert wrong == []


def test_what_logs_is_found() -> None:
    assert len(_lines()) > 20
    assert len(METRICS) > 20


def _scraped() -> dict[str, Metric]:
    """By every name under which a metric is scraped."""
    return {
        metric.name.removesuffix(suffix) + suffix: metric
        for metric in METRICS.values()
        for suffix in SUFFIXES[metric.kind]
    }


def _names(expression: str) -> set[str]:
    """Metrics in a PromQL expression: words that are no function, operator, label or text."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|on|without)\s*\([^)]*\)", " ", expression)
    words = set(re.findall(r"\b[a-zA-Z_]\w*\b(?!\s*\()", bare))
    return words - {"and", "or", "unless", "by", "on", "sum", "max", "count"}


def _labels(expression: str) -> set[str]:
    grouped = re.findall(r"\b(?:by|on|without)\s*\(([^)]*)\)", expression)
    matched = re.findall(r"[{,]\s*(\w+)\s*[=!]", expression)
    return {word.strip() for group in grouped for word in group.split(",")} | set(matched)


@EACH_RULE
def test_a_rule_uses_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    names, scraped = _names(rule["expr"]), _scraped()
    assert names
    assert names <= scraped.keys() | FOREIGN
    known = {label for name in names & scraped.keys() for label in scraped[name].labels}
    assert _labels(rule["expr"]) <= known | PROMETHEUS_LABELS


@EACH_RULE
def test_a_rule_says_how_bad_it_is_what_it_is_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Laurel[A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"]
    place, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor in anchors((ROOT / place).read_text(encoding="utf-8"))
    section = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    of_anchor = next(part for part in section if anchors(f"## {part}") >= {anchor})
    used = _names(rule["expr"]) - {"up"}
    families = {re.sub(r"_bucket$", "", name) for name in used}
    assert any(f"`{family}`" in of_anchor for family in families) or not used


def test_rules_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))


def test_what_is_scraped_is_the_local_stack() -> None:
    scraped = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text(encoding="utf-8"))
    told = {
        job["job_name"].removeprefix("laurel-"): job["static_configs"][0]["targets"]
        for job in scraped["scrape_configs"]
    }
    settings, workers = Settings(), iter(range(WORKERS_PORT, WORKERS_PORT + len(SERVICES)))
    ports = {
        each.name: getattr(settings, each.port) if each.port else next(workers) for each in SERVICES
    }
    assert told == {name: [f"127.0.0.1:{port}"] for name, port in ports.items()}
