"""Databases restored from an older copy: refused, recovered, and exact again."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from deploy.local.servers import ROOT, environment
from shared.runtime.mongo import open_client
from shared.runtime.ports import Document
from shared.runtime.settings import Settings
from tests.faults.checks import differences
from tests.faults.model import Load, Sender, model_of
from tests.faults.progress import Progress
from tests.faults.staging import WORKERS, set_program
from tests.running import Stack, stack_of, variables_of

CAUGHT_UP_SECONDS = 60.0
Copy = dict[tuple[str, str], list[Document]]


@pytest.fixture
def stack(settings: Settings, tmp_path: Path) -> Iterator[Stack]:
    """One of each worker, with a program."""
    with stack_of(settings, tmp_path) as made:
        set_program(made)
        for name in WORKERS:
            made.add(name)
        made.start()
        yield made


@pytest.fixture
def client(settings: Settings) -> Iterator[MongoClient[Document]]:
    with open_client(settings) as opened:
        yield opened


def send(settings: Settings, events: list[tuple[str, bytes]]) -> None:
    sender = Sender(settings)
    for customer, value in events:
        sender.send(customer, value)
    sender.flush()
    with Progress(settings) as progress:
        assert progress.caught_up(CAUGHT_UP_SECONDS), "the services did not catch up"


def stop(stack: Stack) -> None:
    for process in stack.processes.values():
        process.running.terminate()
    for process in stack.processes.values():
        process.stop()


def copied(client: MongoClient[Document], namespace: str) -> Copy:
    """Every document of the namespace, as a backup of one moment has it."""
    return {
        (database, name): list(client[database][name].find())
        for database in client.list_database_names()
        if database.startswith(f"{namespace}_")
        for name in client[database].list_collection_names()
    }


def put_back(client: MongoClient[Document], namespace: str, copy: Copy) -> None:
    for database in client.list_database_names():
        if database.startswith(f"{namespace}_"):
            client.drop_database(database)
    for (database, name), documents in copy.items():
        if documents:
            client[database][name].insert_many(documents)


def recover(settings: Settings, *options: str) -> tuple[int, str]:
    """`laurel recover journal` as an operator runs it: its exit status, and what it says."""
    ran = subprocess.run(
        [sys.executable, "-m", "cli", "recover", "journal", *options],
        cwd=ROOT,
        env=environment(variables_of(settings)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.returncode, " ".join(ran.stdout.split())


def test_a_restored_database_is_refused_and_comes_back_from_the_log(
    stack: Stack, client: MongoClient[Document]
) -> None:
    settings = stack.settings
    load = Load(customers=30, events=900)
    events = list(load)
    send(settings, events[:500])
    stop(stack)
    an_hour_ago = copied(client, settings.namespace)
    stack.start()
    send(settings, events[500:])
    stop(stack)
    put_back(client, settings.namespace, an_hour_ago)

    journal = stack.processes["journal"]
    journal.start()
    assert journal.running.wait(30) == 1
    assert "it was restored from an older copy" in journal.log.read_text()
    assert recover(settings)[0] == 0
    assert "Nothing to recover" in recover(settings)[1]
    stack.start()
    send(settings, [])
    assert differences(settings, model_of(settings)) == []
    states = copied(client, settings.namespace)[settings.database("points"), "states"]
    send(settings, events)
    assert differences(settings, model_of(settings)) == []
    assert copied(client, settings.namespace)[settings.database("points"), "states"] == states
