"""Clients of the real gateway that keep at it: each event again, with its id, until it is taken."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.faults.model import Load
from tests.integration.clients import ADMIN

ANSWER_SECONDS = 30.0
"""Longer than the gateway takes to find out that a broker is away; no answer at all is wrong."""
RETRY_SECONDS_MAX = 2.0
LATE_SECONDS = 60.0
"""How long after the scenario an event may still be refused."""
CLIENT_EVENTS = 1_000_000
BATCH = 20
PAUSE_SECONDS = 0.1
"""Between two posts of a client: who waits for an outcome shall not wait for a backlog."""

Event = dict[str, Any]


@dataclass
class Answers:
    """What the clients were told: how often which status, by what was going on, and how late."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)
    """Outcomes that were answered (`Prefer: wait`), by event."""
    acknowledged_at: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Clients:
    """One that posts events one by one, one that waits for outcomes, one that posts batches, each
    on customers of its own. `during` names what is going on, for the answers."""

    def __init__(self, url: str, customers: int = 20) -> None:
        self.answers = Answers()
        self.during = "quiet"
        self._url = url
        self._customers = customers
        self._over = threading.Event()
        self._lock = threading.Lock()
        ways = {"single": (1, {}), "waiting": (1, {"Prefer": "wait=5"}), "batch": (BATCH, {})}
        self._threads = [
            threading.Thread(target=self._run, args=(name, customers, *way), name=name, daemon=True)
            for name, way in ways.items()
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(LATE_SECONDS + ANSWER_SECONDS)
            if thread.is_alive():
                self.answers.wrong.append(f"client {thread.name} did not come to an end")

    def enrolled(self) -> bool:
        """Whether all customers have opted in: what follows is about customers who exist."""
        joined = [event for event in list(self.answers.acknowledged) if event.startswith("join-")]
        return len(joined) == len(self._threads) * self._customers

    def _run(self, name: str, customers: int, size: int, headers: dict[str, str]) -> None:
        events = _events(name, customers)
        with httpx2.Client(
            base_url=self._url, headers={**ADMIN, **headers}, timeout=ANSWER_SECONDS
        ) as client:
            while not self._over.wait(PAUSE_SECONDS):
                self._until_taken(client, [next(events) for _ in range(size)])

    def _until_taken(self, client: httpx2.Client, events: Sequence[Event]) -> None:
        """Sends again what was not taken, before anything else."""
        left, late = list(events), 0.0
        while left:
            left, pause = self._post(client, left)
            if left and self._over.is_set():
                late = late or time.monotonic() + LATE_SECONDS
                if time.monotonic() > late:
                    self.answers.wrong.append(f"{left[0]['id']} was refused to the end")
                    return
            if left:
                time.sleep(min(pause, RETRY_SECONDS_MAX))

    def _post(self, client: httpx2.Client, events: Sequence[Event]) -> tuple[list[Event], float]:
        """Those that were refused for now, and after how many seconds to try again."""
        path = "/v1/events" if len(events) == 1 else "/v1/events/batch"
        body: Any = events[0] if len(events) == 1 else {"events": events}
        started = time.monotonic()
        try:
            answer = client.post(path, json=body)
        except httpx2.HTTPError as error:
            self._wrong(f"no answer to {events[0]['id']}: {type(error).__name__}")
            return list(events), RETRY_SECONDS_MAX
        took = time.monotonic() - started
        pause = self._pause(answer, events[0])
        if path.endswith("batch") and answer.status_code == 202:
            answers = [(_status(item), item) for item in answer.json()["items"]]
        else:
            answers = [(answer.status_code, answer.json())] * len(events)
        with self._lock:
            self.answers.slowest[self.during] = max(
                took, self.answers.slowest.get(self.during, 0.0)
            )
            return [
                event
                for event, (status, told) in zip(events, answers, strict=True)
                if not self._taken(event, status, told)
            ], pause

    def _taken(self, event: Event, status: int, told: dict[str, Any]) -> bool:
        self.answers.statuses[self.during, status] += 1
        if status in {503, 429}:
            return False
        outcome = {200: "accepted", 409: "refused"}.get(status)
        if status != 202 and (outcome is None or told.get("id") != event["id"]):
            self.answers.wrong.append(f"{event['id']}: {status} {told.get('code', '')}")
        if outcome:
            self.answers.told[event["id"]] = outcome
        self.answers.acknowledged.add(event["id"])
        self.answers.acknowledged_at = time.monotonic()
        return True

    def _pause(self, answer: httpx2.Response, event: Event) -> float:
        if answer.status_code not in {503, 429}:
            return 1.0  # of a batch, some
        after = answer.headers.get("retry-after", "")
        if not after.isdigit() or int(after) < 1:
            self._wrong(f"{event['id']}: {answer.status_code} without Retry-After")
            return 1.0
        return float(after)

    def _wrong(self, what: str) -> None:
        with self._lock:
            self.answers.wrong.append(f"{what} ({self.during})")


def _events(name: str, customers: int) -> Iterator[Event]:
    """As a client sends them. Half of the checkouts of two of the three leave the currency to the
    program, which the gateway then has to ask the database for; one never needs the database."""
    load = Load(customers, CLIENT_EVENTS, name=f"{name}-", seed=len(name))
    for _, value in load:
        event: Event = json.loads(value)
        del event["account"]
        if name != "single" and event["id"][-1] in "02468":
            event["data"].pop("currency", None)
        yield event


def _status(item: dict[str, Any]) -> int:
    """Of an item of a batch: a problem's own, else 202."""
    status = item.get("status")
    return status if isinstance(status, int) else 202
