"""Program changes race with events: each event is decided under the version answered before it."""

import itertools
import threading
import time
from typing import Any, Self

import httpx2
import pytest

from shared.runtime.mongo import open_client
from tests.integration.clients import ACCOUNT, ADMIN, client_of, decided, event, set_program_up
from tests.running import Stack

EVENTS = 20_000
BATCH = 200
CUSTOMERS = 100

pytestmark = pytest.mark.timeout(300)


class Changes:
    """Sets one percentage after the other; each names its version by the points of a checkout."""

    def __init__(self, stack: Stack) -> None:
        self.answered: list[tuple[int, int]] = []
        """`(version, points that a checkout of 10,000.00 earns)`, as answered."""
        self.over = threading.Event()
        self._stack = stack
        self._thread = threading.Thread(target=self._change)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self.answered:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._thread.join()

    def _change(self) -> None:
        with httpx2.Client(base_url=self._stack.program, headers=ADMIN, timeout=30) as client:
            for hundredths in itertools.count(1):
                if self.over.is_set():
                    return
                account = ACCOUNT | {"earn": {"percent": hundredths / 100}}
                answer = client.put("/v1/program/accounts/main", json=account)
                self.answered.append((answer.raise_for_status().json()["version"], hundredths))


def test_no_event_is_decided_under_a_version_older_than_the_last_answered(stack: Stack) -> None:
    set_program_up(stack)
    sent_after: dict[str, int] = {}
    with client_of(stack) as client, Changes(stack) as changes:
        joins = [event(f"c-{n}", "opt_in") for n in range(CUSTOMERS)]
        client.post("/v1/events/batch", json={"events": joins}).raise_for_status()
        for start in range(0, EVENTS, BATCH):
            version, _ = changes.answered[-1]
            batch = [_checkout(number) for number in range(start, start + BATCH)]
            sent_after |= {body["id"]: version for body in batch}
            answer = client.post("/v1/events/batch", json={"events": batch})
            assert answer.raise_for_status().json()["errors"] == 0
        # One partition is in order; each must have reached its last event.
        for n in range(CUSTOMERS):
            assert decided(stack, client, event(f"c-{n}", "point_add", points=1))["status"]
    points_of = dict(changes.answered)
    with open_client(stack.settings) as mongo:
        found = mongo[stack.settings.database("points")].decisions.find({"action": "checkout"})
        decisions = {decision["event"]: decision for decision in found}
    assert decisions.keys() == sent_after.keys()
    for id_, version in sent_after.items():
        decision = decisions[id_]
        assert decision["program"] >= version, (
            f"{id_} was sent after version {version} was answered"
        )
        assert decision["facts"][0]["points"] == points_of[decision["program"]]
    assert len({decision["program"] for decision in decisions.values()}) > 5, "no race took place"


def _checkout(number: int) -> dict[str, Any]:
    made = event(f"c-{number % CUSTOMERS}", "checkout", f"race-{number}")
    data = {"transaction_id": f"T-{number}", "total": "10000.00", "currency": "EUR"}
    return made | {"data": data}
