"""What a client of Laurel does, in a few words."""

import time
from collections.abc import Mapping
from typing import Any

import httpx2

from tests.running import Stack

ADMIN = {"Authorization": "Bearer local-admin-key"}
OTHER = {"Authorization": "Bearer local-other-key"}
WAIT = {"Prefer": "wait=20"}
DECIDED_SECONDS = 30.0
ACCOUNT = {
    "name": "Main points",
    "currency_label": "pts",
    "init_on_opt_in": True,
    "earn": {"percent": 10},
}


def set_program_up(stack: Stack, credential: Mapping[str, str] = ADMIN, **earn: object) -> int:
    """One active account `main`; returns the program's version."""
    with httpx2.Client(base_url=stack.program, headers=credential, timeout=30) as client:
        account = ACCOUNT | {"earn": {"percent": 10, **earn}}
        client.put("/v1/program/accounts/main", json=account).raise_for_status()
        answer = client.post("/v1/program/accounts/main/activate").raise_for_status()
        return int(answer.json()["version"])


def client_of(stack: Stack, credential: Mapping[str, str] = ADMIN) -> httpx2.Client:
    """A client of the gateway that waits for outcomes longer than it asks for."""
    return httpx2.Client(base_url=stack.gateway, headers=credential, timeout=60)


def event(customer: str, action: str, id_: str = "", **data: object) -> dict[str, Any]:
    """A body for `POST /v1/events`."""
    body: dict[str, Any] = {"customer": customer, "action": action, "data": data}
    return body | ({"id": id_} if id_ else {})


def decided(stack: Stack, client: httpx2.Client, body: Mapping[str, Any]) -> dict[str, Any]:
    """Sends an event and returns its outcome or problem, however long it takes within reason."""
    answer = client.post("/v1/events", json=body, headers=WAIT)
    if answer.status_code != 202:
        outcome: dict[str, Any] = answer.json()
        return outcome
    return outcome_of(stack, client, answer.json()["id"])


def outcome_of(stack: Stack, client: httpx2.Client, id_: str) -> dict[str, Any]:
    """The outcome at the query service, once there is one; a refusal as its problem."""
    deadline = time.monotonic() + DECIDED_SECONDS
    while True:
        answer = client.get(f"{stack.query}/v1/events/{id_}")
        outcome: dict[str, Any] = answer.json()
        if answer.status_code == 200 and outcome["status"] != "queued":
            return dict(outcome["problem"]) if outcome["status"] == "refused" else outcome
        assert time.monotonic() < deadline, f"{id_} was not decided: {outcome}"
        time.sleep(0.05)
