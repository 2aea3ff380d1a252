"""Loading a file through the real gateway: each event once and in order, whatever happens."""

import threading
import time
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from cli.client import Service
from cli.delivery import deliver, file_source
from cli.program import ensure
from cli.sending import Sending
from cli.tally import Tally
from tests.running import Stack

KEY = "local-admin-key"
CUSTOMERS = [f"c-{number}" for number in range(7)]
EVENTS = 2_100
DEADLINE_SECONDS = 60


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Opt-ins, then points whose amounts tell their order; no event has an id."""
    events: list[dict[str, object]] = [
        {"customer": customer, "action": "opt_in"} for customer in CUSTOMERS
    ]
    events += [
        {
            "customer": CUSTOMERS[number % len(CUSTOMERS)],
            "action": "point_add",
            "account": "main",
            "data": {"points": number + 1},
        }
        for number in range(EVENTS)
    ]
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, events)))
    return path


def _load(file: Path, sending: Sending, limit: int | None = None) -> Tally:
    source = file_source(file.parent / "bookmarks", sending, file, limit)
    return deliver(source, sending, from_start=False, console=Console(file=StringIO()))


def _points_in_order(query: Service, customer: str) -> list[int]:
    rows = query.get(f"/v1/customers/{customer}/points-history", limit=1000)["items"]
    return [row["points"] for row in reversed(rows)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_load_survives_a_killed_gateway_and_goes_on_where_it_stopped(
    stack: Stack, file: Path
) -> None:
    with Service(stack.program, KEY) as program:
        ensure(program)
    sending = Sending(stack.gateway, KEY, lanes=4, batch=10, rate=400)
    first = _load(file, sending, limit=500)
    assert (first.accepted, first.repeats, first.refused.total()) == (500, 0, 0)

    with Service(stack.query, KEY) as query:
        before = _score(query)
        found: list[Tally] = []
        loading = threading.Thread(target=lambda: found.append(_load(file, sending)))
        loading.start()
        _wait_for_more(query, before)
        stack.processes["gateway"].kill()
        stack.start("gateway")
        loading.join(DEADLINE_SECONDS)

        [second] = found
        assert second.answered == EVENTS + len(CUSTOMERS) - 500
        assert second.refused.total() == 0
        for number, customer in enumerate(CUSTOMERS):
            wanted = list(range(number + 1, EVENTS + 1, len(CUSTOMERS)))
            assert _points_in_order(query, customer) == wanted


def _score(query: Service) -> int:
    [account] = query.get(f"/v1/customers/{CUSTOMERS[0]}")["accounts"]
    return int(account["score"])


def _wait_for_more(query: Service, than: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while _score(query) <= than:
        assert time.monotonic() < deadline, "the load does not move"
        time.sleep(0.05)
