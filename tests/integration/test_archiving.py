"""Archiving an account while events are under way: never with points on it, never without need."""

import threading
import time

import httpx2
import pytest

from tests.integration.clients import ADMIN, client_of, decided, event, outcome_of, set_program_up
from tests.running import Stack

ROUNDS = 30
EVENTS = 1_000
DEADLINE_SECONDS = 30

pytestmark = pytest.mark.timeout(300)


class Account:
    """An account of the program, not the default one."""

    def __init__(self, stack: Stack, id_: str) -> None:
        self.id = id_
        self._stack = stack
        self.does("", "PUT", {"name": id_, "currency_label": "pts"})
        self.does("/activate")

    def does(self, step: str, method: str = "POST", body: object = None) -> None:
        self.asked(step, method, body).raise_for_status()

    def asked(self, step: str, method: str = "POST", body: object = None) -> httpx2.Response:
        url = f"{self._stack.program}/v1/program/accounts/{self.id}{step}"
        return httpx2.request(method, url, json=body, headers=ADMIN, timeout=60)

    def archived(self) -> httpx2.Response:
        """Asks for it as a client does: again where the answer is to try again."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (answer := self.asked("/archive")).status_code == 503:
            assert time.monotonic() < deadline, answer.text
        return answer

    def adds(self, client: httpx2.Client, id_: str) -> None:
        """Sends an event that adds points, and does not wait for what becomes of it."""
        body = event("c-1", "point_add", id_, points=5) | {"account": self.id}
        client.post("/v1/events", json=body).raise_for_status()


def test_an_account_is_archived_if_and_only_if_nobody_got_points_on_it(stack: Stack) -> None:
    """In each round one event races with the deactivation and the archiving of its account: sent a
    bit later each time, so that it meets every step of both."""
    set_program_up(stack)
    archived: dict[str, bool] = {}
    with client_of(stack) as client:
        assert decided(stack, client, event("c-1", "opt_in"))["status"] == "accepted"
        seconds = _seconds_to_archive(stack)
        for number in range(ROUNDS):
            account = Account(stack, f"a{number}")
            delay = 1.5 * seconds * number / ROUNDS
            sender = threading.Timer(delay, account.adds, (client, f"add-{number}"))
            sender.start()
            account.does("/deactivate")
            answer = account.archived()
            assert answer.status_code in (200, 409), answer.text
            archived[account.id] = answer.status_code == 200
            sender.join()
        for number in range(ROUNDS):
            outcome = outcome_of(stack, client, f"add-{number}")
            refused = outcome.get("code") == "account_inactive"
            assert archived[f"a{number}"] == refused, (number, outcome)
    print(f"{sum(archived.values())} of {ROUNDS} archived")


def _seconds_to_archive(stack: Stack) -> float:
    account = Account(stack, "unused")
    started = time.monotonic()
    account.does("/deactivate")
    account.archived().raise_for_status()
    return time.monotonic() - started


def test_every_event_that_was_taken_is_in_the_totals(stack: Stack) -> None:
    set_program_up(stack)
    account = Account(stack, "other")
    customers = [f"c-{number}" for number in range(50)]
    with client_of(stack) as client:
        joins = [event(customer, "opt_in") for customer in customers]
        adds = [
            event(customers[number % 50], "point_add", points=1) | {"account": "other"}
            for number in range(EVENTS - 50)
        ]
        client.post("/v1/events/batch", json={"events": joins + adds}).raise_for_status()
        # What is taken after the account is inactive is refused: so some is before.
        assert decided(stack, client, adds[0] | {"id": "first"})["status"] == "accepted"
        account.does("/deactivate")
        problem = account.archived().json()
        assert problem["code"] == "account_in_use"
        said = problem["totals"]
        held = [_points(stack, client, customer) for customer in customers]
        holders = sum(points > 0 for points in held)
        assert (said["customers"], said["spendable"]) == (holders, sum(held))

        account.does("/activate")
        for customer, points in zip(customers, held, strict=True):
            if not points:
                continue
            body = event(customer, "point_sub", points=points) | {"account": "other"}
            assert decided(stack, client, body)["status"] == "accepted"
        account.does("/deactivate")
        assert account.archived().json()["status"] == "archived"
        late = event("c-1", "point_add", points=1) | {"account": "other"}
        assert decided(stack, client, late)["code"] == "account_inactive"


def _points(stack: Stack, client: httpx2.Client, customer: str) -> int:
    accounts = client.get(f"{stack.query}/v1/customers/{customer}").json()["accounts"]
    return sum(account["spendable"] for account in accounts if account["id"] == "other")


def test_while_a_service_on_the_way_is_down_nothing_is_archived(stack: Stack) -> None:
    set_program_up(stack)
    account = Account(stack, "other")
    with client_of(stack) as client:
        assert decided(stack, client, event("c-1", "opt_in"))["status"] == "accepted"
        stack.processes["journal"].stop()
        account.adds(client, "under-way")
        account.does("/deactivate")
        answer = account.asked("/archive")  # it gives up before the client does
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        stack.start("journal")
        stack.processes["query"].stop()
        assert account.asked("/archive").status_code == 503
        stack.start("query")
        assert outcome_of(stack, client, "under-way")["code"] == "account_inactive"
        assert account.asked("/archive").json()["status"] == "archived"
