"""A borrowed partition: nobody takes it for a while, then whoever wants it."""

import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from pymongo import MongoClient

from shared.runtime import mongo
from shared.runtime.mongo import MongoStore, open_client
from shared.runtime.ports import Document, Unavailable
from shared.runtime.settings import Settings

PARTITION = 3


@pytest.fixture
def client(settings: Settings) -> Iterator[MongoClient[Document]]:
    with open_client(settings) as opened:
        yield opened


def store(client: MongoClient[Document], settings: Settings, worker: str) -> MongoStore:
    of = settings.model_copy(update={"worker": worker})
    return MongoStore(client, of, "points", ["events.log"])


def lapse(client: MongoClient[Document], settings: Settings) -> None:
    """As if it had been borrowed long ago."""
    back = {"$add": ["$lent_at", -int(mongo.LENT_SECONDS * 1000)]}
    cursors = client[settings.database("points")].cursors
    cursors.update_many({}, [{"$set": {"lent_at": back}}])


def test_what_is_borrowed_nobody_takes_until_it_is_given_back(
    client: MongoClient[Document], settings: Settings
) -> None:
    worker, rebuild = store(client, settings, "0"), store(client, settings, "rebuild-points")
    worker.take_over(PARTITION)
    assert rebuild.borrow(PARTITION).epoch == 2
    for other in (worker, store(client, settings, "1")):
        with pytest.raises(Unavailable, match="lent"):
            other.take_over(PARTITION)
    with pytest.raises(Unavailable, match="lent"):
        store(client, settings, "rebuild-too").borrow(PARTITION)
    assert worker.holders([PARTITION]) == {PARTITION: "rebuild-points"}
    rebuild.give_back([PARTITION])
    assert worker.holders([PARTITION]) == {PARTITION: ""}
    assert worker.take_over(PARTITION).epoch == 3


def test_what_is_not_given_back_is_free_after_a_while(
    client: MongoClient[Document], settings: Settings
) -> None:
    store(client, settings, "rebuild-points").borrow(PARTITION)
    worker = store(client, settings, "0")
    assert worker.holders([PARTITION]) == {PARTITION: "rebuild-points"}
    lapse(client, settings)
    assert worker.holders([PARTITION]) == {PARTITION: ""}
    assert worker.take_over(PARTITION).epoch == 2
    assert worker.holders([PARTITION]) == {PARTITION: "0"}


def test_who_takes_over_at_the_same_moment_as_somebody_borrows_does_not_get_both(
    client: MongoClient[Document], settings: Settings
) -> None:
    stores = [store(client, settings, f"w{n}") for n in range(4)]
    rebuild = store(client, settings, "rebuild-points")
    stores[0].take_over(PARTITION)

    def take(one: MongoStore) -> None:
        with suppress(Unavailable):  # it came later
            one.take_over(PARTITION)

    threads = [threading.Thread(target=take, args=[one]) for one in stores]
    for thread in threads:
        thread.start()
    epoch = rebuild.borrow(PARTITION).epoch
    for thread in threads:
        thread.join()
    assert rebuild.places([PARTITION])[PARTITION].epoch == epoch


def test_a_second_set_of_collections_has_cursors_of_its_own(
    client: MongoClient[Document], settings: Settings
) -> None:
    store(client, settings, "0").take_over(PARTITION)
    second = MongoStore(client, settings, "points", ["events.log"], suffix="_rebuilt")
    cursor = second.take_over(PARTITION)
    assert cursor.epoch == 1
    second.transact(lambda transaction: transaction.insert("decisions", [{"_id": 1}]))
    database = client[settings.database("points")]
    assert database.decisions.count_documents({}) == 0
    assert database.decisions_rebuilt.count_documents({}) == 1
    second.close()
