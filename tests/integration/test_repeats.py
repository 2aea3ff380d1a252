"""An id is one event for ever: the first outcome by every route, a conflict for other content."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.integration.clients import ADMIN, OTHER, WAIT, client_of, decided, event, set_program_up
from tests.running import Stack

Send = Callable[[httpx2.Client, dict[str, Any]], dict[str, Any]]


def _single(client: httpx2.Client, body: dict[str, Any]) -> dict[str, Any]:
    outcome: dict[str, Any] = client.post("/v1/events", json=body, headers=WAIT).json()
    return outcome


def _batch(client: httpx2.Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/events/batch", json={"events": [body]}, headers=WAIT)
    item: dict[str, Any] = answer.json()["items"][0]
    return item


def _ndjson(client: httpx2.Client, body: dict[str, Any]) -> dict[str, Any]:
    headers = WAIT | {"Content-Type": "application/x-ndjson"}
    lines = json.dumps(body).encode() + b"\n"
    answer = client.post("/v1/events/batch", content=lines, headers=headers)
    item: dict[str, Any] = answer.json()["items"][0]
    return item


CHECKOUT = event(
    "c-1", "checkout", "till-1", transaction_id="T-1", total="12.50", currency="EUR"
)  # 12.50 at 10 %: one point


@pytest.fixture
def client(stack: Stack) -> httpx2.Client:
    set_program_up(stack)
    made = client_of(stack)
    assert decided(stack, made, event("c-1", "opt_in"))["status"] == "accepted"
    return made


def _repeated(first: dict[str, Any]) -> dict[str, Any]:
    return first | {"duplicate": True}


def test_a_repeat_by_any_route_gets_the_first_outcome(stack: Stack, client: httpx2.Client) -> None:
    first = _single(client, CHECKOUT)
    assert (first["status"], first["duplicate"]) == ("accepted", False)
    number = CHECKOUT | {"data": CHECKOUT["data"] | {"total": 12.5}}
    for send in (_single, _batch, _ndjson):
        for body in (CHECKOUT, number):
            assert send(client, body) == _repeated(first)
    for name in ("journal", "points", "gateway"):
        stack.processes[name].kill()
    stack.start("journal", "points", "gateway")
    assert _single(client, CHECKOUT) == _repeated(first)


def test_the_repeat_of_a_refused_event_is_refused_the_same_way(
    stack: Stack, client: httpx2.Client
) -> None:
    spend = event("c-1", "point_spend", "spend-1", points=500)
    first = _single(client, spend)
    assert first["code"] == "insufficient_points"
    assert decided(stack, client, event("c-1", "point_add", points=500))["status"] == "accepted"
    for send in (_single, _batch, _ndjson):
        again = send(client, spend)
        assert {**again, "duplicate": False} == first
    stack.processes["points"].kill()
    stack.start("points")
    assert _single(client, spend)["code"] == "insufficient_points"


def test_an_id_is_one_event_per_tenant(stack: Stack, client: httpx2.Client) -> None:
    set_program_up(stack, OTHER)
    with client_of(stack, OTHER) as other:
        assert decided(stack, other, event("c-1", "opt_in"))["status"] == "accepted"
        body = event("c-1", "point_add", "shared-id", points=5)
        assert _single(client, body)["duplicate"] is False
        assert _single(other, body)["duplicate"] is False
    conflict = _single(client, body | {"customer": "c-2"})
    assert (conflict["status"], conflict["code"], conflict["id"]) == (
        409,
        "event_conflict",
        "shared-id",
    )
    changed = _single(client, event("c-1", "point_add", "shared-id", points=6))
    assert changed["code"] == "event_conflict"
    card = client.get(f"{stack.query}/v1/customers/c-1", headers=ADMIN).json()
    assert card["accounts"][0]["score"] == 5


def test_time_counts_as_content_only_where_it_was_sent(stack: Stack, client: httpx2.Client) -> None:
    body = event("c-1", "point_add", "timed", points=1) | {"time": "2026-11-01T10:00:00+02:00"}
    first = _single(client, body)
    assert first["time"] == "2026-11-01T08:00:00Z"
    assert _single(client, body | {"time": "2026-11-01T08:00:00.000Z"}) == _repeated(first)
    without = {name: value for name, value in body.items() if name != "time"}
    assert _single(client, without)["code"] == "event_conflict"
