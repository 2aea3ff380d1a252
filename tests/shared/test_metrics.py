"""What is counted by every process: from the first moment, and never what a probe asks."""

import tomllib
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from shared.runtime import metrics
from shared.runtime.http import install
from shared.runtime.mongo import open_client
from shared.runtime.parking import Parking
from shared.runtime.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def _value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def test_the_version_is_the_one_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == metrics.VERSION


def test_a_worker_counts_from_zero_so_that_the_first_dead_letter_is_an_increase() -> None:
    metrics.begin("a-service", ["events.log"], 8)
    service = {"service": "a-service"}
    assert _value("laurel_messages_dead_total", topic="events.log", **service) == 0
    assert _value("laurel_fenced_total", **service) == 0
    assert _value("laurel_batches_redone_total", reason="unavailable", **service) == 0
    assert _value("laurel_partitions_configured", **service) == 8
    assert _value("laurel_build_info", version=metrics.VERSION) == 1


def test_a_worker_that_starts_anew_still_tells_who_is_parked(settings: Settings) -> None:
    with open_client(settings) as mongo:
        database = mongo[settings.database("points")]
        database.parked_customers.insert_many(
            {"_id": f"demo/c-{number}", "partition": number, "waiting": 10} for number in range(3)
        )
        parking = Parking("a-parking-service", database)
        parking.waiting({0, 1})
        service = {"service": "a-parking-service"}
        assert _value("laurel_parked_customers", **service) == 2
        assert _value("laurel_parked_events", **service) == 20
        parking.forget([0])
        assert _value("laurel_parked_customers", **service) == 1


async def _answer(request: Request) -> Response:
    if request.path_params["status"] == 500:
        raise ValueError("nobody expected this")
    return Response(status_code=request.path_params["status"])


async def _ready() -> list[str]:
    return []


@pytest.fixture
def client() -> TestClient:
    app = Starlette(routes=[Route("/answers/{status:int}", _answer)])
    install(app, title="Test", ready=_ready, openapi=dict)
    return TestClient(app)


@pytest.mark.parametrize(
    ("path", "counted"),
    [("/answers/200", "2xx"), ("/answers/304", "3xx"), ("/answers/409", "4xx"),
     ("/answers/500", "5xx"), ("/nowhere", "4xx"), ("/livez", ""), ("/readyz", ""),
     ("/metrics", "")],
)  # fmt: skip
def test_requests_are_counted_by_class_of_status(
    client: TestClient, path: str, counted: str
) -> None:
    classes = ("2xx", "3xx", "4xx", "5xx", "none")

    def all_counts() -> dict[str, float]:
        return {each: _value("laurel_http_requests_total", status=each) or 0 for each in classes}

    before, timed = all_counts(), _value("laurel_http_seconds_count") or 0
    client.get(path)
    grown = {each: count - before[each] for each, count in all_counts().items()}
    assert grown == {each: float(each == counted) for each in classes}
    assert (_value("laurel_http_seconds_count") or 0) - timed == bool(counted)
