"""`laurel rebuild points` in the real stack: beside load, with readers and waiting clients."""

import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import httpx2
import pytest
from pymongo import MongoClient

from deploy.local.servers import ROOT, environment
from tests.faults.model import Load, Model, Sender
from tests.integration.clients import WAIT, client_of, decided, event, set_program_up
from tests.running import Stack, variables_of

pytestmark = pytest.mark.timeout(300)

FAULTY = (sys.executable, "-m", "tests.integration.faulty_points")
PAST = "2026-01-01T00:00:00Z"
READS = (
    "/v1/customers/c-0",
    "/v1/customers/c-1/points-history?limit=100&count=exact",
    "/v1/customers/c-2/events?limit=50",
    "/v1/customers/c-3/transactions?limit=50",
    "/v1/transactions?limit=50",
    "/v1/customers?limit=50&sort=-spendable",
)


def laurel(stack: Stack, *words: str) -> tuple[int, str]:
    """Runs the operator's command on the stack, as a process of its own: its exit status, and what
    it says in one line."""
    ran = subprocess.run(
        [sys.executable, "-m", "cli", *words],
        check=False,
        cwd=ROOT,
        env=environment(variables_of(stack.settings)),
        capture_output=True,
        text=True,
        timeout=240,
    )
    print(ran.stdout, ran.stderr)
    return ran.returncode, re.sub(r"\s+", " ", ran.stdout + ran.stderr)


def _restarted(stack: Stack, command: tuple[str, ...]) -> None:
    process = stack.processes["points"]
    process.stop()
    process.command = command
    stack.start("points")


def parked_and_unparked(stack: Stack, client: httpx2.Client) -> None:
    """One customer was parked and is not any more, one waits still."""
    mended = tuple(stack.processes["points"].command)
    _restarted(stack, FAULTY)
    for customer in ("p-over", "p-waits"):
        decided(stack, client, event(customer, "opt_in"))
        decided(stack, client, event(customer, "point_add", points=100))
        for points in (13, 5):
            body = event(customer, "point_add", points=points)
            assert client.post("/v1/events", json=body, headers=WAIT).status_code == 202
    _restarted(stack, mended)
    assert laurel(stack, "parked", "unpark", "demo/p-over")[0] == 0


def lots_that_expire_and_customers_who_leave(stack: Stack, client: httpx2.Client) -> None:
    for number in range(4):
        customer = f"x-{number}"
        decided(stack, client, event(customer, "opt_in"))
        decided(stack, client, event(customer, "point_add", points=50, expires_at=PAST))
        decided(stack, client, event(customer, "point_add", points=20))
        if number % 2:
            decided(stack, client, event(customer, "opt_out"))
            decided(stack, client, event(customer, "opt_in"))
        last = decided(stack, client, event(customer, "point_spend", points=30))
        assert last["code"] == "insufficient_points"


def given(stack: Stack, model: Model, sender: Sender) -> None:
    """Some thousand events, of every kind that leaves something else behind."""
    with client_of(stack) as client:
        parked_and_unparked(stack, client)
        lots_that_expire_and_customers_who_leave(stack, client)
    for customer, value in Load(customers=20, events=2_000):
        sender.send(customer, value)
        model.apply(value)
    sender.flush()
    wait_for(stack, model)


def wait_for(stack: Stack, model: Model) -> None:
    """Until a late event of every partition is decided: the last of each customer."""
    with client_of(stack) as client:
        for customer in model.score:
            decided(stack, client, event(customer, "point_add", points=1))
            model.score[customer] += 1


def differences(stack: Stack, model: Model) -> list[str]:
    """Balances at the query service that are not the model's."""
    found = []
    with client_of(stack) as client:
        for customer, score in model.score.items():
            (account,) = client.get(f"{stack.query}/v1/customers/{customer}").json()["accounts"]
            if (account["score"], account["spent"]) != (score, model.spent[customer]):
                found.append(f"{customer}: {account}, not {score} {model.spent[customer]}")
    return found


@contextmanager
def repeating(*turns: Callable[[], None]) -> Iterator[None]:
    """Each again and again in a thread of its own, at most 20 times a second, until the block
    ends."""
    over = threading.Event()
    raised: list[BaseException] = []

    def repeat(turn: Callable[[], None]) -> None:
        try:
            while not over.wait(0.05):
                turn()
        except BaseException as error:  # noqa: BLE001  # it fails the test, in the main thread
            raised.append(error)

    threads = [threading.Thread(target=repeat, args=[turn]) for turn in turns]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert raised == []


@contextmanager
def live(stack: Stack, model: Model, sender: Sender) -> Iterator[Counter[tuple[str, int]]]:
    """Load, readers, and clients that wait for outcomes; counts the answers by status."""
    answers: Counter[tuple[str, int]] = Counter()
    load = iter(Load(customers=10, events=1_000_000, name="live-"))
    numbers = count()
    with client_of(stack) as reader, client_of(stack) as waiter:

        def send() -> None:
            for _ in range(10):
                customer, value = next(load)
                sender.send(customer, value)
                model.apply(value)
            sender.flush()

        def read() -> None:
            for path in READS:
                answers["read", reader.get(f"{stack.query}{path}").status_code] += 1

        def post() -> None:
            body = event(f"w-{next(numbers) % 5}", "point_add", points=1)
            answers["wait", waiter.post("/v1/events", json=body, headers=WAIT).status_code] += 1

        for number in range(5):
            decided(stack, waiter, event(f"w-{number}", "opt_in"))
        with repeating(send, read, post):
            yield answers


def test_identical_and_switched_beside_load_then_a_damage_is_found_and_mended(
    stack: Stack,
) -> None:
    set_program_up(stack)
    model, sender = Model(), Sender(stack.settings)
    given(stack, model, sender)
    with live(stack, model, sender) as answers:
        status, said = laurel(stack, "rebuild", "points")
    assert status == 0, said
    assert "Identical; switched, nothing was decided for" in said
    print(answers)
    assert {kind for kind, answer in answers} == {"read", "wait"}
    assert {answer for _, answer in answers} == {200}
    wait_for(stack, model)
    assert differences(stack, model) == []

    with MongoClient[dict[str, object]](stack.settings.mongo_url) as mongo:
        states = mongo[stack.settings.database("points")].states
        states.update_one({"_id": "demo/c-7"}, {"$inc": {"accounts.main.score": 1_000}})
    with live(stack, model, sender):
        status, said = laurel(stack, "rebuild", "points")
    assert status == 1, said
    score = model.score["c-7"]
    told = f"accounts.main.score is {score + 1_000}, decided again {score}"
    assert f"states 'demo/c-7' of demo/c-7: {told}" in said
    assert "1 difference; NOT switched: there are differences." in said
    status, said = laurel(stack, "rebuild", "points", "--accept-differences")
    assert status == 0, said
    assert "1 difference; switched" in said
    wait_for(stack, model)
    assert differences(stack, model) == []
    assert (
        "Identical; nothing was switched" in laurel(stack, "rebuild", "points", "--compare-only")[1]
    )
