"""Twenty spend a whole balance at once: exactly one may, and nobody gets another error."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tests.integration.clients import (
    ADMIN,
    WAIT,
    client_of,
    decided,
    event,
    outcome_of,
    set_program_up,
)
from tests.running import Stack

CONNECTIONS = 20
REPETITIONS = 100

pytestmark = pytest.mark.timeout(300)


async def _race(stack: Stack, customer: str, client: httpx2.AsyncClient) -> Counter[str]:
    """All connections at once, one spend each of everything there is."""

    async def spend(number: int) -> str:
        body = event(customer, "point_spend", f"{customer}-spend-{number}", points=100)
        answer = await client.post("/v1/events", json=body, headers=WAIT)
        if answer.status_code == 202:
            with client_of(stack) as reader:
                outcome = await asyncio.to_thread(outcome_of, stack, reader, body["id"])
        else:
            outcome = answer.json()
        return str(outcome.get("code") or outcome["status"])

    return Counter(await asyncio.gather(*(spend(number) for number in range(CONNECTIONS))))


async def _races(stack: Stack, repetitions: int) -> list[Counter[str]]:
    limits = httpx2.Limits(max_connections=CONNECTIONS)
    async with httpx2.AsyncClient(
        base_url=stack.gateway, headers=ADMIN, timeout=60, limits=limits
    ) as client:
        return [await _race(stack, f"racer-{n}", client) for n in range(repetitions)]


def _endow(stack: Stack, repetitions: int) -> None:
    with client_of(stack) as client:
        for action, data in (("opt_in", {}), ("point_add", {"points": 100})):
            joined = [event(f"racer-{n}", action) | {"data": data} for n in range(repetitions)]
            body = {"events": joined}
            answer = client.post("/v1/events/batch", json=body, headers=WAIT).json()
            assert answer["errors"] == 0, answer


@contextmanager
def _kills(stack: Stack, *names: str) -> Iterator[None]:
    """One of them dies every two seconds, and is started again."""
    over = threading.Event()

    def kill() -> None:
        turn = 0
        while not over.wait(2.0):
            stack.processes[names[turn % len(names)]].running.kill()
            turn += 1

    stack.keep_alive()
    killer = threading.Thread(target=kill)
    killer.start()
    yield
    over.set()
    killer.join()


EXPECTED = Counter({"accepted": 1, "insufficient_points": CONNECTIONS - 1})


def test_exactly_one_of_twenty_parallel_spends_is_accepted(stack: Stack) -> None:
    set_program_up(stack)
    _endow(stack, REPETITIONS)
    assert asyncio.run(_races(stack, REPETITIONS)) == [EXPECTED] * REPETITIONS


def test_also_while_journal_and_points_are_killed(stack: Stack) -> None:
    set_program_up(stack)
    _endow(stack, REPETITIONS)
    with _kills(stack, "points", "journal"):
        races = asyncio.run(_races(stack, REPETITIONS))
    assert [race for race in races if race != EXPECTED] == []
    with client_of(stack) as client:
        last = decided(stack, client, event("racer-0", "point_add", points=1))
    assert last["balances"]["main"] == {
        "score": 101, "spent": 100, "pending": 0, "reserved": 0, "expired": 0, "spendable": 1
    }  # fmt: skip
