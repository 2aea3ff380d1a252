"""The crash test: services kill themselves at every step under load; one freezes and wakes."""

import itertools
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from confluent_kafka import Consumer, TopicPartition
from pymongo import MongoClient

from shared.runtime.faults import STEPS, Step
from shared.runtime.mongo import open_client
from shared.runtime.ports import Document
from shared.runtime.settings import Settings
from tests.faults.checks import differences
from tests.faults.model import Load, Sender, model_of
from tests.running import Process, Stack, stack_of

KILLED = ("journal", "customers", "points")
CHUNK_EVENTS = 150
CHUNK_SECONDS = 0.2
TAKEN_OVER_SECONDS = 40.0
EVENTS_MIN = 3_000
LOAD = Load(customers=200, events=1_000_000)
"""As many as it takes: the load ends when every step has had its kill."""


@dataclass
class Report:
    """What was done, and every difference found."""

    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    events: int = 0
    restarts: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    def never_hit(self) -> list[tuple[str, str]]:
        """Steps of the loop at which no service was killed."""
        return [at for at in itertools.product(KILLED, STEPS) if not self.hits[at]]

    def __str__(self) -> str:
        rows = [
            f"{service:10}" + "".join(f"{self.hits[service, step]:>16}" for step in STEPS)
            for service in KILLED
        ]
        head = f"{'hits':10}" + "".join(f"{step:>16}" for step in STEPS)
        tail = f"{self.events} events, starts {self.restarts}, {len(self.differences)} differences"
        return "\n".join([head, *rows, tail, *self.differences[:10]])


@dataclass(frozen=True)
class Ordeal:
    """What the services go through: a kill at each of these steps, then perhaps the freezing."""

    steps: tuple[Step, ...] = STEPS
    frozen: bool = True
    kills_seconds: float = 90.0
    caught_up_seconds: float = 40.0


WHOLE = Ordeal()


def crash_test(
    settings: Settings, folder: Path, ordeal: Ordeal = WHOLE, mutation: str = ""
) -> Report:
    """Runs it on fresh topics and databases. `mutation` names a defect that must be found."""
    report = Report()
    with stack_of(settings, folder) as stack:
        _set_program_up(stack)
        for name in KILLED:
            frozen = ordeal.frozen and name == "points"
            _add(stack, name, mutation, _plan(ordeal, frozen=frozen)).start()
        stack.keep_alive()
        sender = Sender(stack.settings)
        load = iter(LOAD)

        def all_killed() -> bool:
            return all(len(_deeds(stack.processes[name])) >= len(ordeal.steps) for name in KILLED)

        _send_until(sender, load, report, all_killed, ordeal.kills_seconds)
        if ordeal.frozen:
            _freeze_and_thaw(stack, mutation, sender, load, report)
        if not _caught_up(stack.settings, ordeal.caught_up_seconds):
            report.differences.append("the services did not catch up with the log")
        report.differences += differences(stack.settings, model_of(stack.settings))
        report.restarts = {name: process.starts for name, process in stack.processes.items()}
        for name in KILLED:
            for step, _ in _deeds(stack.processes[name]):
                report.hits[name, step] += 1
    return report


def _set_program_up(stack: Stack) -> None:
    stack.add("program")
    stack.start("program")
    with httpx2.Client(
        base_url=stack.program, headers={"Authorization": "Bearer local-admin-key"}
    ) as client:
        account = {
            "name": "Main points",
            "currency_label": "pts",
            "init_on_opt_in": True,
            "earn": {"percent": 10},
        }
        client.put("/v1/program/accounts/main", json=account).raise_for_status()
        client.post("/v1/program/accounts/main/activate").raise_for_status()
    stack.processes["program"].stop()
    del stack.processes["program"]


def _plan(ordeal: Ordeal, *, frozen: bool) -> list[str]:
    """One kill at each step, at its first to third passage; then the freezing."""
    kills = [f"{step} {1 + index % 3} kill" for index, step in enumerate(ordeal.steps)]
    return [*kills, "after_decide 5 stop"] if frozen else kills


def _add(stack: Stack, name: str, mutation: str, plan: Sequence[str], worker: str = "0") -> Process:
    file = stack.folder / f"{name}-{worker}.plan"
    file.write_text("\n".join(plan))
    return stack.add(
        name,
        worker,
        command=(sys.executable, "-m", "tests.faults.worker", name),
        variables={
            "FAULT_PLAN": str(file),
            "FAULT_DONE": str(file.with_suffix(".done")),
            "FAULT_MUTATION": mutation,
        },
    )


def _deeds(process: Process) -> list[tuple[str, str]]:
    done = Path(process.variables["FAULT_DONE"])
    lines = done.read_text().splitlines() if done.exists() else []
    return [(step, deed) for step, deed in (line.split() for line in lines)]


def _send_until(
    sender: Sender,
    load: Iterator[tuple[str, bytes]],
    report: Report,
    over: Callable[[], bool],
    seconds: float,
) -> bool:
    """Sends chunk by chunk until it is over; false: time ran out."""
    deadline = time.monotonic() + seconds
    while report.events < EVENTS_MIN or not over():
        if time.monotonic() > deadline:
            return False
        for customer, value in itertools.islice(load, CHUNK_EVENTS):
            sender.send(customer, value)
        sender.flush()
        report.events += CHUNK_EVENTS
        time.sleep(CHUNK_SECONDS)
    return True


def _freeze_and_thaw(
    stack: Stack,
    mutation: str,
    sender: Sender,
    load: Iterator[tuple[str, bytes]],
    report: Report,
) -> None:
    """The worker that stopped itself with a decided batch wakes up after another took over."""
    frozen = stack.processes["points"]
    if not _send_until(
        sender, load, report, lambda: _deeds(frozen)[-1:] == [("after_decide", "stop")], 20
    ):
        report.differences.append("points never came to the point of being frozen")
        return
    heir = _add(stack, "points", mutation, [], worker="heir")
    heir.start()
    with open_client(stack.settings) as client:

        def taken_over() -> bool:
            return _workers(client, stack.settings) == {"heir"} and heir.ready()

        if not _send_until(sender, load, report, taken_over, TAKEN_OVER_SECONDS):
            report.differences.append("nobody took the frozen worker's partitions over")
        frozen.running.send_signal(signal.SIGCONT)
        refused = _wait(lambda: '"event": "fenced"' in frozen.log.read_text(), 15)
    if not refused:
        report.differences.append("the frozen worker's batch was not refused by the epoch")


def _workers(client: MongoClient[Document], settings: Settings) -> set[str]:
    return {cursor["worker"] for cursor in client[settings.database("points")].cursors.find()}


def _caught_up(settings: Settings, within_seconds: float) -> bool:
    """Whether the journal has read the inbox and both owners the log, before long."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_servers, "group.id": "caught-up"})
    inbox = {
        p: consumer.get_watermark_offsets(
            TopicPartition(settings.topic("events.inbox"), p), timeout=10
        )[1]
        for p in range(settings.partitions)
    }
    consumer.close()

    with open_client(settings) as client:

        def settled() -> bool:
            journal = list(client[settings.database("journal")].cursors.find())
            if {c["_id"]: c.get("next", {}).get("events_inbox", 0) for c in journal} != inbox:
                return False
            ends = {cursor["_id"]: cursor.get("last", 0) for cursor in journal}
            return all(
                {c["_id"]: c.get("seen", {}).get("events_log", 0) for c in cursors} == ends
                for cursors in (
                    list(client[settings.database(service)].cursors.find())
                    for service in ("customers", "points")
                )
            )

        return _wait(settled, within_seconds)


def _wait(until: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
