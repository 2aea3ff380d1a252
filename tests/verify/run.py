"""A real run for verify: processes, a load, a rule that raises, audits in the middle of it."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import httpx2

from cli.positions import behind, open_admin, positions
from cli.verify.audit import Audit, Audited, run
from deploy.local.servers import ROOT
from shared.runtime.mongo import open_client
from shared.runtime.settings import Settings
from tests.faults.model import Sender
from tests.running import Stack, stack_of, variables_of
from tests.verify.load import ACCOUNTS, mixed

WORKERS = ("journal", "customers", "points", "cards")
SERVICES = ("journal", "customers", "points", "query")
RAISING = (sys.executable, "-m", "tests.integration.faulty_points")
CUSTOMERS = 80
EVENTS = 2_500
"""Before the rule is mended."""
EVENTS_MAX = 100_000
CHUNK = 40
CHUNK_SECONDS = 0.1
AUDITS = 4
CAUGHT_UP_SECONDS = 90.0
LOOK_SECONDS = 0.05


@dataclass
class Run:
    """What was found on the way; afterwards nothing runs, and the database stands still."""

    settings: Settings
    parked: list[str] = field(default_factory=list)
    """Customers that a raising rule parked; the first of them stays so."""
    while_parked: Audited | None = None
    under_load: list[Audited] = field(default_factory=list)


def real_run(settings: Settings, folder: Path) -> Run:
    """Half of the load with a rule that raises, the other half with the mended one."""
    made = Run(settings)
    with stack_of(settings, folder) as stack:
        for name in ("program", *WORKERS):
            stack.add(name)
        mended, stack.processes["points"].command = stack.processes["points"].command, RAISING
        stack.start()
        set_program_up(stack)
        load = iter(mixed(CUSTOMERS, EVENTS_MAX))
        _send(Sender(settings), islice(load, EVENTS))
        wait_until_caught_up(settings)
        made.while_parked = run(Audit(settings))
        made.parked = _parked(settings)
        stack.processes["points"].stop()
        stack.processes["points"].command = mended
        stack.start("points")
        with _sending(settings, load), _unparking(settings, made.parked[1:]) as unparking:
            while unparking.poll() is None or len(made.under_load) < AUDITS:
                made.under_load.append(run(Audit(settings)))
        wait_until_caught_up(settings)
    return made


def set_program_up(stack: Stack) -> None:
    """The accounts that the load knows."""
    headers = {"Authorization": "Bearer local-admin-key"}
    with httpx2.Client(base_url=stack.program, headers=headers) as client:
        for id_, account in ACCOUNTS.items():
            body = {"name": id_, "currency_label": "pts", **account}
            client.put(f"/v1/program/accounts/{id_}", json=body).raise_for_status()
            client.post(f"/v1/program/accounts/{id_}/activate").raise_for_status()


def _send(sender: Sender, events: Iterable[tuple[str, bytes]]) -> None:
    for customer, value in events:
        sender.send(customer, value)
    sender.flush()


@contextmanager
def _sending(settings: Settings, load: Iterator[tuple[str, bytes]]) -> Iterator[None]:
    """Meanwhile the load goes on; afterwards the broker has all of it."""
    enough, sender = threading.Event(), Sender(settings)

    def send() -> None:
        while not enough.wait(CHUNK_SECONDS):
            _send(sender, islice(load, CHUNK))

    thread = threading.Thread(target=send, name="load", daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


@contextmanager
def _unparking(settings: Settings, customers: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Meanwhile these customers' events are decided."""
    command = (sys.executable, "-m", "cli", "parked", "unpark", *customers)
    with subprocess.Popen(command, cwd=ROOT, env=variables_of(settings)) as process:
        yield process
    assert process.returncode == 0, "not all of the waiting events were decided"


def wait_until_caught_up(settings: Settings) -> None:
    """Until every service has read all there is."""
    admin = open_admin(settings)
    deadline = time.monotonic() + CAUGHT_UP_SECONDS
    with open_client(settings) as client:
        while behind(positions(admin, client, settings), SERVICES, settings.partitions) != 0:
            assert time.monotonic() < deadline, "the services do not catch up"
            time.sleep(LOOK_SECONDS)


def _parked(settings: Settings) -> list[str]:
    with open_client(settings) as client:
        found = client[settings.database("points")].parked_customers.find({}, {"_id": 1})
        return sorted(each["_id"] for each in found)
