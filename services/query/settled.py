"""Settled: waits until all that was taken before is decided, and the cards show it.

`?after=` waits for one event; this waits for every customer's, which only the inbox's end can name.
"""

import asyncio
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition
from pymongo.asynchronous.database import AsyncDatabase

from services.query.waiting import OWNERS, Databases, until
from shared.contracts.topics import INBOX
from shared.runtime.http import Problem
from shared.runtime.mongo import field_name
from shared.runtime.ports import Document
from shared.runtime.settings import Settings

SETTLED_SECONDS = 5.0
"""How long a read waits; 20 to 50 ms are usual."""
BROKER_SECONDS = 3.0
END = -1
"""As a time in `offsets_for_times`: after the last message."""
LOG = field_name("events.log")

Ends = Mapping[int, int]
"""A number or an offset by partition; a partition that is missing has nothing yet."""


async def settled(settings: Settings, databases: Databases) -> None:
    """Returns once the cards show every event that a gateway had acknowledged when this began.

    From stage to stage: the inbox's end, which the journal must have read; the last number of the
    log then, which the owners must have decided; their last numbers then, which the cards must have
    seen. Each target stands still while it is waited for, so no load keeps this from ending.
    503 `unavailable` after `SETTLED_SECONDS`, or where Kafka does not answer.
    """
    try:
        async with asyncio.timeout(SETTLED_SECONDS):
            ends = await asyncio.to_thread(inbox_ends, settings)
            await _passed(databases["journal"], "next", field_name(INBOX.name), ends)
            log = await _last(databases["journal"])
            for owner in OWNERS:
                await _passed(databases[owner], "seen", LOG, log)
            for owner in OWNERS:
                last = await _last(databases[owner])
                await _passed(databases["query"], "seen", field_name(f"{owner}.facts"), last)
    except TimeoutError as error:
        raise Problem("unavailable", "The services are behind their events; try again.") from error
    except KafkaException as error:
        raise Problem("unavailable", "Kafka does not answer.") from error


def inbox_ends(settings: Settings) -> Ends:
    """The offset that the next event gets, by partition. Blocks; raises `KafkaException`.

    The client is opened for the question, which is asked a few times a year. A consumer answers in
    4 ms; of 300 fresh admin clients 11 did not answer in 3 s.
    """
    topic = settings.topic(INBOX.name)
    places = [TopicPartition(topic, number, END) for number in range(settings.partitions)]
    client = Consumer(
        {
            "bootstrap.servers": settings.kafka_servers,
            "group.id": settings.instance("query"),  # the client asks for one; none is joined
            "isolation.level": "read_uncommitted",
            "log_level": 0,  # what is wrong is said in our own words
        }
    )
    try:
        found = client.offsets_for_times(places, timeout=BROKER_SECONDS)
    finally:
        client.close()
    if error := next((place.error for place in found if place.error), None):
        raise KafkaException(error)
    return {place.partition: place.offset for place in found}


async def _passed(database: AsyncDatabase[Document], field: str, name: str, ends: Ends) -> None:
    async def there() -> bool:
        found = {
            cursor["_id"]: cursor.get(field, {}).get(name, 0)
            async for cursor in database["cursors"].find({}, {f"{field}.{name}": 1})
        }
        return all(found.get(partition, 0) >= end for partition, end in ends.items())

    await until(there)


async def _last(database: AsyncDatabase[Document]) -> Ends:
    cursors = database["cursors"].find({}, {"last": 1})
    return {cursor["_id"]: cursor.get("last", 0) async for cursor in cursors}
