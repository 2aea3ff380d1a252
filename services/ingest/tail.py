"""The log's tail: what Kafka's last messages say of numbers and programs, beside the databases.

A database that was restored from an older copy has fewer numbers than the log: its journal would
give them a second time. So the journal looks before it joins its group.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

import msgspec
from confluent_kafka import Consumer
from pymongo import MongoClient

from services.ingest.repository import JournalRepository
from shared.contracts.topics import LOG
from shared.runtime.kafka import ends, open_reader, read_between
from shared.runtime.messages import Tick, is_tick, log_link, text_headers
from shared.runtime.ports import Document, Message, Stopped
from shared.runtime.settings import Settings

TAIL_MESSAGES = 100
"""Of each partition: the very last may be an older one, sent again after a crash."""
KAFKA_SECONDS = 90.0
"""How long is waited for a broker that is away."""

Versions = Counter[str]
"""The highest version of the program by tenant."""


class LogAhead(Stopped):
    """The log has what a database lacks; the text says where, and what to do."""


@dataclass(slots=True)
class Tail:
    """What the last messages of one partition say; `versions`: what they were stamped with."""

    number: int = 0
    lineage: str = ""
    versions: Versions = field(default_factory=Counter)


def refuse_if_behind(settings: Settings, client: MongoClient[Document]) -> None:
    """Raises `LogAhead` where the journal's database is older than the log or made from another,
    and where the program's is older than what the log was stamped with.

    Kafka is read first: what another worker announces meanwhile is committed before. Raises
    `KafkaException` if the broker stays away.
    """
    with closing(open_reader(settings)) as reader:
        tails = read_tails(reader, settings)
    database = client[settings.database("journal")]
    repository = JournalRepository(database)
    lineage = repository.known_lineage()
    cursors = {cursor["_id"]: cursor for cursor in database.cursors.find()}
    for partition, tail in sorted(tails.items()):
        last = cursors.get(partition, {}).get("last", 0)
        if lineage and tail.lineage != lineage:
            raise LogAhead(another_log(settings, partition, tail.lineage, lineage))
        if tail.number > last:
            raise LogAhead(_ahead(settings, partition, tail.number, last))
    ticked = {p: at for p, c in cursors.items() if (at := c.get("marks", {}).get("ticked"))}
    stamped = highest(
        [tail.versions for tail in tails.values()]
        + [tick_versions(tick["body"]) for tick in repository.ticks(ticked)]
    )
    for tenant, (known, version) in lost_versions(settings, client, stamped).items():
        raise LogAhead(
            f"the program of tenant {tenant} is at version {known}, but version {version} was "
            "stamped on the log: the program's database was restored from an older copy. `laurel "
            "recover journal` says what is lost"
        )


def read_tails(reader: Consumer, settings: Settings) -> dict[int, Tail]:
    """By partition, where there are messages of a log."""
    places = {
        partition: (max(low, high - TAIL_MESSAGES), high)
        for partition, (low, high) in log_ends(reader, settings).items()
    }
    tails: dict[int, Tail] = {}
    for message in read_log(reader, settings, places):
        if (link := log_link(message.headers)) is None:
            continue
        tail = tails.setdefault(message.partition, Tail())
        tail.number, tail.lineage = max(tail.number, link.number), link.lineage
        tail.versions |= versions_of(message)
    return tails


def log_ends(reader: Consumer, settings: Settings) -> dict[int, tuple[int, int]]:
    """The first and the next offset of each partition of the log."""
    return ends(reader, settings.topic(LOG.name), settings.partitions, KAFKA_SECONDS)


def read_log(
    reader: Consumer, settings: Settings, places: Mapping[int, tuple[int, int]]
) -> Iterator[Message]:
    """Messages of the log between two offsets of each partition."""
    for item in read_between(reader, settings.topic(LOG.name), places, KAFKA_SECONDS):
        yield Message(
            topic=LOG.name,
            partition=item.partition() or 0,
            offset=item.offset() or 0,
            key=item.key() or b"",
            value=item.value() or b"",
            headers=text_headers(item.headers()),
        )


def versions_of(message: Message) -> Versions:
    """What a message of the log names: an event its own version, a tick those of all tenants."""
    if is_tick(message):
        return tick_versions(message.value)
    return Counter({message.headers["tenant"]: int(message.headers["program"])})


def tick_versions(body: bytes | str) -> Versions:
    """What a tick names."""
    return Counter(msgspec.json.decode(body, type=Tick).programs)


def highest(found: Iterable[Versions]) -> Versions:
    """The highest version of each tenant."""
    together: Versions = Counter()
    for each in found:
        together |= each
    return together


def lost_versions(
    settings: Settings, client: MongoClient[Document], stamped: Versions
) -> dict[str, tuple[int, int]]:
    """Tenants whose program ends before what was stamped: where it ends, what was stamped."""
    heads = client[settings.database("program")].heads.find({"_id": {"$in": list(stamped)}})
    known = {head["_id"]: head["version"] for head in heads}
    return {
        tenant: (known.get(tenant, 0), version)
        for tenant, version in sorted(stamped.items())
        if version > known.get(tenant, 0)
    }


def another_log(settings: Settings, partition: int, found: str, expected: str) -> str:
    """The sentence for a log that is not this database's."""
    return (
        f"{settings.topic(LOG.name)} partition {partition} belongs to log {found}, but the "
        f"journal's database made log {expected}: one of them is another stack's. Look at "
        "LAUREL_KAFKA_SERVERS, LAUREL_MONGO_URL and LAUREL_NAMESPACE"
    )


def _ahead(settings: Settings, partition: int, number: int, last: int) -> str:
    return (
        f"{settings.topic(LOG.name)} partition {partition} has number {number}, but the journal's "
        f"database ends at {last}: it was restored from an older copy, and would give numbers a "
        "second time. `laurel recover journal` imports what is missing, then start again"
    )
