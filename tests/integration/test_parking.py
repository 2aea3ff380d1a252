"""A rule that raises, in the real stack: who waits, who does not, what an unpark makes of it."""

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner, Result

from cli.__main__ import app
from tests.faults.model import messages
from tests.integration.clients import WAIT, client_of, decided, event, outcome_of, set_program_up
from tests.running import Stack, variables_of

pytestmark = pytest.mark.timeout(180)

FAULTY = (sys.executable, "-m", "tests.integration.faulty_points")
BAD = [
    event("c-bad", "point_add", "b-1", points=100),
    event("c-bad", "point_add", "b-2", points=13),
    event("c-bad", "point_spend", "b-3", points=110),
    event("c-bad", "point_spend", "b-4", points=10),
]


def laurel(stack: Stack, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    """Runs the operator's command on the stack."""
    for name, value in variables_of(stack.settings).items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(app, words)


def balances(stack: Stack, client: httpx2.Client, customer: str) -> Mapping[str, Any]:
    (account,) = client.get(f"{stack.query}/v1/customers/{customer}").json()["accounts"]
    return dict(account)


def _restarted(stack: Stack, command: Sequence[str]) -> None:
    process = stack.processes["points"]
    process.stop()
    process.command = command
    stack.start("points")


def test_parked_and_unparked(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    set_program_up(stack)
    mended = stack.processes["points"].command
    _restarted(stack, FAULTY)
    nobody = laurel(stack, monkeypatch, "parked", "list")
    assert (nobody.exit_code, nobody.output) == (0, "No customer is parked.\n")
    with client_of(stack) as client:
        for customer in ("c-bad", "c-good"):
            assert decided(stack, client, event(customer, "opt_in"))["status"] == "accepted"
        answers = [client.post("/v1/events", json=body, headers=WAIT) for body in BAD]
        assert [answer.status_code for answer in answers] == [200, 202, 202, 202]
        assert [answer.json()["status"] for answer in answers] == ["accepted", *3 * ["parked"]]
        started = time.monotonic()
        good = decided(stack, client, event("c-good", "point_add", points=7))
        print(f"another customer's event was decided in {time.monotonic() - started:.3f} s")
        assert good["balances"]["main"]["spendable"] == 7
        again = client.post("/v1/events", json=BAD[1], headers=WAIT)
        assert (again.status_code, again.json()["status"]) == (202, "parked")
        assert outcome_of(stack, client, "b-3")["status"] == "parked"
        (letter,) = messages(stack.settings, "events.log.dead")
        assert letter[1]["dead_reason"] == "a rule raised ZeroDivisionError: thirteen"

        (listed,) = json.loads(laurel(stack, monkeypatch, "parked", "list", "--json").output)
        assert (listed["customer"], listed["waiting"]) == ("demo/c-bad", 3)
        in_vain = laurel(stack, monkeypatch, "parked", "unpark", "demo/c-bad")
        assert in_vain.exit_code == 1
        assert "event b-2 still raises ZeroDivisionError: thirteen; 3 wait" in _line(in_vain)

        _restarted(stack, mended)
        unparked = laurel(stack, monkeypatch, "parked", "unpark", "--all")
        assert (unparked.exit_code, _line(unparked)) == (
            0,
            "demo/c-bad at points: 3 events decided",
        )
        assert outcome_of(stack, client, "b-2")["status"] == "accepted"
        assert outcome_of(stack, client, "b-4")["code"] == "insufficient_points"
        repeated = decided(stack, client, BAD[1])
        assert (repeated["status"], repeated["duplicate"]) == ("accepted", True)
        later = decided(stack, client, event("c-bad", "point_add", points=1))
        assert later["balances"]["main"] == _as_if_never_parked(stack, client)
        at = {"after": later["position"]}
        client.get(f"{stack.query}/v1/customers/c-bad", params=at).raise_for_status()
        assert balances(stack, client, "c-bad")["spendable"] == 4
    assert laurel(stack, monkeypatch, "parked", "list").output == "No customer is parked.\n"


def test_a_stranger_and_no_name_are_told_so(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = laurel(stack, monkeypatch, "parked", "unpark", "demo/c-1")
    assert "demo/c-1: not parked" in str(stranger.exception)
    nobody = laurel(stack, monkeypatch, "parked", "unpark")
    assert "name customers as TENANT/CUSTOMER, or give --all" in str(nobody.exception)
    unknown = laurel(stack, monkeypatch, "parked", "list", "--service", "query")
    assert "query parks nobody" in str(unknown.exception)
    assert (
        laurel(stack, monkeypatch, "parked", "unpark", "--all").output == "No customer is parked.\n"
    )


def _as_if_never_parked(stack: Stack, client: httpx2.Client) -> Mapping[str, Any]:
    """The same events of another customer, under other ids."""
    decided(stack, client, event("c-twin", "opt_in"))
    for body in BAD:
        decided(stack, client, body | {"customer": "c-twin", "id": f"twin-{body['id']}"})
    last = decided(stack, client, event("c-twin", "point_add", points=1))
    return dict(last["balances"]["main"])


def _line(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output).strip()
