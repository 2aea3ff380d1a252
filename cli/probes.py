"""How long from an event to the balance it makes: single events at a low rate, each read back."""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import uuid4

from cli.client import ProblemError, Service
from cli.problems import CommandError

CUSTOMER = "demo-probe"
"""A customer of its own: no household's balance moves."""
EVERY_SECONDS = 0.05
WAIT_SECONDS = 10


class Latency(NamedTuple):
    """Milliseconds of the probes, each from sending the event to having read the new balance."""

    p50: float
    p99: float
    probes: int


def measure(
    gateway: Service,
    query: Service,
    probes: int,
    probed: Callable[[int], None] = lambda _: None,
) -> Latency:
    """Send `probes` events one after the other, at most 20 a second.

    Raises `ProblemError`, `AwayError`, and `BalanceMissingError` where a balance read back is not
    the one that the events make.
    """
    run = uuid4().hex[:12]
    _enrol(gateway)
    balance = _balance(query, None)
    taken = []
    for number in range(1, probes + 1):
        began = time.perf_counter()
        position = _add_point(gateway, f"probe-{run}-{number}")
        seen = _balance(query, position)
        taken.append((time.perf_counter() - began) * 1000)
        if seen != balance + number:
            raise BalanceMissingError(f"{CUSTOMER} has {seen} points, not {balance + number}")
        probed(number)
        time.sleep(max(0.0, EVERY_SECONDS - (time.perf_counter() - began)))
    return Latency(percentile(taken, 50), percentile(taken, 99), probes)


class BalanceMissingError(CommandError):
    """A balance was read that does not hold what was accepted before."""


def percentile(values: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile: a value that was really seen. Raises `ValueError` for none."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def _enrol(gateway: Service) -> None:
    event = {"id": f"opt-in-{CUSTOMER}", "customer": CUSTOMER, "action": "opt_in", "data": {}}
    try:
        gateway.post("/v1/events", event, Prefer=f"wait={WAIT_SECONDS}")
    except ProblemError as problem:
        if problem.code != "already_opted_in":
            raise


def _add_point(gateway: Service, event_id: str) -> str:
    """The position that the outcome names."""
    event = {
        "id": event_id,
        "customer": CUSTOMER,
        "action": "point_add",
        "account": "main",
        "data": {"points": 1, "reason": "latency probe of the demo"},
    }
    outcome = gateway.post("/v1/events", event, Prefer=f"wait={WAIT_SECONDS}")
    if outcome["status"] != "accepted":
        raise BalanceMissingError(f"{event_id} is still {outcome['status']} after {WAIT_SECONDS} s")
    return str(outcome["position"])


def _balance(query: Service, position: str | None) -> int:
    parameters = {"after": position} if position else {}
    card = query.get(f"/v1/customers/{CUSTOMER}", **parameters)
    return sum(account["spendable"] for account in card["accounts"] if account["id"] == "main")
