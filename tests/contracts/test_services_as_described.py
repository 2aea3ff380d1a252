"""The services do what the documents say: real messages, and thousands of requests."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.contracts import FOLDER
from shared.contracts.topics import TOPICS
from shared.runtime.http.description import operations
from tests.contracts.conftest import CUSTOMER, PURCHASE, purchase, submitted
from tests.contracts.messages import kind, messages
from tests.running import Stack

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "missing_required_header",
    "ignored_auth",
    "unsupported_method",
    "allow_header_conformance",
)
EXAMPLES_MAX = 20
"""Of each operation, beside what the coverage phase derives: together half a minute."""
RUN_SECONDS_MAX = 150
SEED = 20261124
CASES = re.compile(r"(\d+) generated")
CASES_MIN = {"gateway": 200, "program": 400, "query": 300}
"""Fewer would mean that the document hides what there is to try."""


def tried(document: Path, url: str, folder: Path, *options: str) -> tuple[int, str]:
    """Schemathesis' exit status and what it printed."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", url),
        *("--header", "Authorization: Bearer local-admin-key", "--checks", ",".join(CHECKS)),
        *("--max-examples", str(EXAMPLES_MAX), "--seed", str(SEED), "--no-shrink", "--no-color"),
        *("--generation-database", "none", "--suppress-health-check", "all"),
        *("--request-timeout", "30", "--output-sanitize", "false", *options),
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def failures(told: str) -> str:
    """What went wrong, without the progress before it."""
    return "\n" + told[max(told.find("FAILURES"), told.find("ERRORS")) :][:8000]


def configured(folder: Path) -> None:
    """Ids that exist, so that reads reach their rows."""
    parameters = {"path.event": PURCHASE, "path.customer": CUSTOMER}
    lines = [f'"{name}" = "{value}"\n' for name, value in parameters.items()]
    (folder / "schemathesis.toml").write_text("[parameters]\n" + "".join(lines), encoding="utf-8")


def without_waiting(name: str, folder: Path) -> Path:
    """The document without `after`: a position that nobody has passed is waited for, and then
    answered by 503, as it should be (tests/query/test_api.py)."""
    document = json.loads((FOLDER / f"{name}.openapi.json").read_bytes())
    for _, _, operation in operations(document):
        parameters = operation.get("parameters", [])
        parameters[:] = [one for one in parameters if one["name"] != "after"]
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_what_goes_over_the_topics_is_what_the_document_says(used: Stack) -> None:
    sent = {
        "id": "T-spend",
        "customer": "c-1001",
        "action": "point_spend",
        "data": {"points": 9999},
    }
    assert submitted(used, sent)["code"] == "insufficient_points"
    assert submitted(used, purchase())["duplicate"] is True
    live = [topic.name for topic in TOPICS if not topic.name.endswith(".dead")]
    seen: dict[str, set[str]] = {topic: set() for topic in live}
    for topic, message in messages(used, live):
        seen[topic].add(kind(topic, message))
    assert seen == {
        "events.inbox": {"SubmittedEvent"},
        "events.log": {"LoggedEvent", "Tick"},
        "events.outcomes": {"Outcome", "Refusal", "Repeat"},
        "customers.facts": {"CustomersDecision"},
        "points.facts": {"PointsDecision"},
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gateway", "program", "query"])
def test_a_service_answers_as_its_document_says(used: Stack, name: str, tmp_path: Path) -> None:
    if name == "query":
        configured(tmp_path)
    status, told = tried(without_waiting(name, tmp_path), getattr(used, name), tmp_path)
    assert status == 0, failures(told)
    cases = CASES.search(told)
    assert cases is not None, failures(told)
    assert int(cases[1]) >= CASES_MIN[name], failures(told)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "path", "spoil"),
    [
        pytest.param(
            "gateway",
            "/v1/events",
            lambda document: document["components"]["schemas"]["Queued"]["required"].append("no"),
            id="an answer without what it must have",
        ),
        pytest.param(
            "query",
            "/v1/customers",
            lambda document: document["paths"]["/v1/customers"]["get"]["responses"].pop("400"),
            id="a status that nobody described",
        ),
    ],
)
def test_a_document_that_says_something_else_is_found_out(
    used: Stack, name: str, path: str, spoil: Any, tmp_path: Path
) -> None:
    document = json.loads((FOLDER / f"{name}.openapi.json").read_bytes())
    spoil(document)
    spoilt = tmp_path / "spoilt.json"
    spoilt.write_text(json.dumps(document), encoding="utf-8")
    status, told = tried(
        spoilt, getattr(used, name), tmp_path, "--include-path", path, "--max-failures", "1"
    )
    assert status == 1, failures(told)
