"""Reads while collections are replaced under them: none is answered with an error."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pymongo import MongoClient
from starlette.testclient import TestClient

from shared.runtime.ports import Document
from shared.runtime.settings import Settings
from tests.query.given import Given

REPLACED = ("states", "lots", "closed", "decisions")
ROUNDS = 15
EVENTS = 200
PATHS = (
    "/v1/customers/anna",
    "/v1/customers/anna/points-history?limit=100&count=exact",
    "/v1/customers/anna/events?limit=100&sort=-points",
    "/v1/transactions?limit=100&count=exact",
)


@pytest.fixture
def many(given: Given) -> None:
    """More than MongoDB hands over at once."""
    given.joined("anna")
    for number in range(EVENTS):
        checkout = given.checked_out("anna", f"T-{number}")
        given.lot("anna", checkout["event"], 10, page=number // 64)


def replace_all(mongo: MongoClient[Document], stack: Settings) -> None:
    """As a rebuild switches, with collections that hold the same."""
    database = mongo[stack.database("points")]
    for name in REPLACED:
        database.drop_collection(f"{name}_rebuilt")
        database.create_collection(f"{name}_rebuilt")
        database[name].aggregate([{"$out": f"{name}_rebuilt"}])
    database.decisions_rebuilt.create_index([("tenant", 1), ("customer", 1), ("_id", 1)])
    for name in REPLACED:
        source = f"{database.name}.{name}"
        mongo.admin.command("renameCollection", f"{source}_rebuilt", to=source, dropTarget=True)


@contextmanager
def reading(api: TestClient) -> Iterator[Counter[tuple[str, int, bool]]]:
    """Every path in a loop of its own; counts the answers by status, and whether they changed."""
    done = threading.Event()
    answers: Counter[tuple[str, int, bool]] = Counter()

    def read(path: str, before: object) -> None:
        while not done.is_set():
            answer = api.get(path)
            answers[path, answer.status_code, answer.json() == before] += 1

    threads = [
        threading.Thread(target=read, args=[path, api.get(path).raise_for_status().json()])
        for path in PATHS
    ]
    for thread in threads:
        thread.start()
    yield answers
    done.set()
    for thread in threads:
        thread.join()


def test_no_read_fails_while_collections_are_replaced(
    many: None, api: TestClient, mongo: MongoClient[Document], stack: Settings
) -> None:
    with reading(api) as answers:
        for _ in range(ROUNDS):
            replace_all(mongo, stack)
    assert set(answers) == {(path, 200, True) for path in PATHS}
