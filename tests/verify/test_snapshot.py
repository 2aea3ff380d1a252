"""The snapshot: one moment, also where others write; too old where mongod forgot that moment."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient

from cli.problems import CommandError
from cli.verify.snapshot import take
from shared.contracts.partitions import partition_of
from shared.runtime.mongo import open_client
from shared.runtime.settings import Settings

HISTORY = "minSnapshotHistoryWindowInSeconds"
CUSTOMERS = 300
FORGOTTEN_SECONDS = 60.0
Client = MongoClient[dict[str, Any]]


def _filled(client: Client, settings: Settings) -> None:
    client[settings.database("journal")].log.insert_one({"_id": "log", "lineage": "l"})
    states = [{"_id": f"demo/c-{n}", "version": 1} for n in range(CUSTOMERS)]
    client[settings.database("points")].states.insert_many(states)
    client[settings.database("query")].cards.insert_many(states)


def test_what_is_written_meanwhile_is_not_in_it(settings: Settings) -> None:
    with open_client(settings) as client:
        _filled(client, settings)

        def write(_: int) -> None:
            client[settings.database("query")].cards.update_many({}, {"$inc": {"version": 1}})

        snapshot = take(client, settings, frozenset(range(settings.partitions)), write)
    for partition, part in snapshot.parts.items():
        states, cards = part.of("points.states"), part.of("query.cards")
        assert [card["version"] for card in cards] == [1] * len(states)
        assert {partition_of(s["_id"].encode(), settings.partitions) for s in states} == {partition}


def test_a_collection_that_is_replaced_meanwhile_makes_it_be_taken_again(
    settings: Settings,
) -> None:
    points = settings.database("points")
    every = frozenset(range(settings.partitions))
    with open_client(settings) as client:
        _filled(client, settings)
        page = {"_id": "demo/c-1/1/main/0", "lots": []}
        client[points].lots.insert_one(page)
        client[points].lots_new.insert_one(page | {"n": 2})
        moves = iter([{"renameCollection": f"{points}.lots_new", "to": f"{points}.lots"}])

        def replace(_: int) -> None:
            if (move := next(moves, None)) is not None:
                client.admin.command({**move, "dropTarget": True})

        snapshot = take(client, settings, every, replace)
    pages = [page for part in snapshot.parts.values() for page in part.of("points.lots")]
    assert pages == [page | {"n": 2}]
    assert sum(len(part.of("points.states")) for part in snapshot.parts.values()) == CUSTOMERS


def test_one_that_is_too_old_says_what_to_do(settings: Settings) -> None:
    deadline = time.monotonic() + FORGOTTEN_SECONDS
    with open_client(settings) as client, _no_history(client):
        _filled(client, settings)

        def write(_: int) -> None:
            for _time in range(20):
                states = client[settings.database("points")].states
                states.update_many({}, {"$inc": {"version": 1}})

        def take_until_too_old() -> None:
            while time.monotonic() < deadline:
                take(client, settings, frozenset({0}), write)

        with pytest.raises(CommandError, match=HISTORY):
            take_until_too_old()


@contextmanager
def _no_history(client: Client) -> Iterator[None]:
    asked: dict[str, Any] = {"getParameter": 1, HISTORY: 1}
    before = client.admin.command(asked)[HISTORY]
    client.admin.command({"setParameter": 1, HISTORY: 0})
    try:
        yield
    finally:
        client.admin.command({"setParameter": 1, HISTORY: before})
