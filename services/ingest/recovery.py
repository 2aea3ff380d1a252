"""Recovery: from the log in Kafka, a restored journal's database gets back what it lacks.

First everything is read and checked, then it is stored, chunk by chunk: events, their batch and the
cursor in one transaction. So it may be ended at any point, and run again.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient
from pymongo import MongoClient

from services.ingest.domain.sequence import GENESIS
from services.ingest.missing import Advance, Missing, RecoveryRefused, find_missing
from services.ingest.repository import JournalRepository, batch_document
from services.ingest.tail import (
    KAFKA_SECONDS,
    Versions,
    highest,
    lost_versions,
    read_log,
    tick_versions,
    versions_of,
)
from shared.contracts.topics import INBOX, LOG
from shared.runtime.archive import Archive
from shared.runtime.kafka import SESSION_MS, ends, open_reader
from shared.runtime.log import stored_event
from shared.runtime.messages import TICK, log_link
from shared.runtime.mongo import CODEC, MAJORITY, MongoStore, open_client
from shared.runtime.ports import Conflict, Cursor, Document, Fenced, Transaction
from shared.runtime.settings import Settings

WORKER = "recover-journal"
CHUNK_EVENTS = 2_000
"""As many as the journal puts into a batch."""
LEFT_SECONDS = SESSION_MS / 1000 + 2
"""A static member that was stopped is in its group until its session has ended."""
GROUP_MS = 5_000
RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. `programs`: by tenant, the version at which the program ends and the one
    that was stamped; `inbox`: by partition, the next message and the first that is still there."""

    missing: tuple[Missing, ...]
    lineage: str
    programs: Mapping[str, tuple[int, int]]
    inbox: Mapping[int, tuple[int, int]]

    @property
    def is_empty(self) -> bool:
        """Whether all is well."""
        return not (self.missing or self.programs or self.inbox)


def running_workers(settings: Settings) -> list[str]:
    """The members of the journal's group, once those that were just stopped are out of it. Raises
    `KafkaException`."""
    admin = AdminClient(
        {
            "bootstrap.servers": settings.kafka_servers,
            "socket.timeout.ms": GROUP_MS,
            "log_level": 0,
        }
    )
    deadline = time.monotonic() + LEFT_SECONDS
    while members := _members(admin, settings.topic("journal")):
        if time.monotonic() > deadline:
            break
        time.sleep(RETRY_SECONDS)
    return members


def _members(admin: AdminClient, group: str) -> list[str]:
    """A broker that has had no group yet needs some seconds to find out."""
    deadline = time.monotonic() + LEFT_SECONDS
    while True:
        try:
            answer = admin.describe_consumer_groups([group], request_timeout=GROUP_MS / 1000)
            members = answer[group].result(LEFT_SECONDS).members
            return sorted(member.group_instance_id or member.client_id for member in members)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)


@contextmanager
def opened(settings: Settings) -> Iterator["Recovery"]:
    """A recovery that holds the cursors of all partitions, so that a journal which runs after all
    is fenced; they are given back in the end. Raises PyMongo's errors and `Unavailable`."""
    ours = settings.model_copy(update={"worker": WORKER})
    with ExitStack() as stack:
        client = stack.enter_context(open_client(ours))
        store = MongoStore(client, ours, "journal", [INBOX.name])
        stack.callback(store.close)
        reader = open_reader(ours)
        stack.callback(reader.close)
        partitions = range(settings.partitions)
        stack.callback(store.give_back, partitions)
        cursors = {partition: store.take_over(partition) for partition in partitions}
        yield Recovery(settings, client, store, reader, cursors)


@dataclass(slots=True)
class Recovery:
    """Looks, then does: see the module."""

    settings: Settings
    client: MongoClient[Document]
    store: MongoStore
    reader: Consumer
    cursors: dict[int, Cursor]
    _repository: JournalRepository = field(init=False)

    def __post_init__(self) -> None:
        database = self.client.get_database(
            self.settings.database("journal"), codec_options=CODEC, write_concern=MAJORITY
        )
        self._repository = JournalRepository(database)

    def look(self, advance: Advance) -> Plan:
        """What is to be done; changes nothing. Raises `RecoveryRefused`, `KafkaException`."""
        lineage = self._repository.known_lineage()
        lasts = {partition: cursor.last for partition, cursor in self.cursors.items()}
        found = find_missing(self.reader, self.settings, lasts, lineage, advance)
        versions = highest([found.versions, self._stored_versions()])
        return Plan(
            found.missing,
            found.lineage,
            lost_versions(self.settings, self.client, versions),
            self._lost_inbox(),
        )

    def carry_out(self, plan: Plan, advance: Advance) -> None:
        """Programs first, so that no version is given twice; then the events. Raises
        `RecoveryRefused` where somebody came in between: what is stored by then counts."""
        heads = self.client[self.settings.database("program")].heads
        for tenant, (_, version) in plan.programs.items():
            heads.update_one({"_id": tenant}, {"$max": {"version": version}}, upsert=True)
        for partition, (_, low) in plan.inbox.items():
            cursor = self.cursors[partition]
            self._store(replace(cursor, batch=cursor.batch + 1, next={INBOX.name: low}), [], [])
        if plan.missing and not self._repository.known_lineage():
            self._repository.adopt(plan.lineage)
        self._import(plan.missing, advance)

    def _import(self, missing: tuple[Missing, ...], advance: Advance) -> None:
        lasts = {each.partition: each.last for each in missing}
        places = {each.partition: (each.start, each.end) for each in missing}
        total = sum(end - start for start, end in places.values())
        chunks: dict[int, list[Document]] = {partition: [] for partition in lasts}
        for done, message in enumerate(read_log(self.reader, self.settings, places), start=1):
            advance(done, total)
            partition, chunk = message.partition, chunks[message.partition]
            link = log_link(message.headers)
            if link is None or link.number != self.cursors[partition].last + len(chunk) + 1:
                continue  # sent again, or none of the log's: `look` found no hole
            chunk.append(stored_event(message))
            if len(chunk) == CHUNK_EVENTS or link.number == lasts[partition]:
                self._store_chunk(partition, chunk)
                chunks[partition] = []

    def _store_chunk(self, partition: int, events: list[Document]) -> None:
        cursor = self.cursors[partition]
        previous = bytes(cursor.marks.get("hash", GENESIS))
        batch = batch_document(partition, events, previous, cursor.next.get(INBOX.name, 0))
        ticks = [event["time"] for event in events if event["action"] == TICK]
        marks = {
            "recorded_at": events[-1]["at"],
            "ticked": ticks[-1] if ticks else cursor.marks.get("ticked"),
            "hash": batch["hash"],
        }
        last = events[-1]["seq"]
        after = replace(cursor, batch=cursor.batch + 1, last=last, announced=last, marks=marks)
        self._store(after, events, [batch])

    def _store(self, after: Cursor, events: list[Document], batches: list[Document]) -> None:
        before = self.cursors[after.partition]

        def body(transaction: Transaction) -> None:
            if not transaction.move(before, after):
                raise Fenced
            JournalRepository.store(transaction, events, batches)

        try:
            self.store.transact(body)
        except Fenced as error:
            raise RecoveryRefused(
                f"a journal worker took partition {after.partition} over meanwhile: stop it, then "
                "run this again; it goes on where it stopped"
            ) from error
        except Conflict as error:
            raise RecoveryRefused(
                f"the journal's database has events of partition {after.partition} behind its own "
                "cursor: it is no copy of one moment. Restore one that is (a dump with "
                "`--oplog`, a snapshot of the disk)"
            ) from error
        self.cursors[after.partition] = after

    def _stored_versions(self) -> Versions:
        """What the journal stamped last: by the last tick of each partition, and after it."""
        ticked = {
            partition: cursor.marks["ticked"]
            for partition, cursor in self.cursors.items()
            if cursor.marks.get("ticked")
        }
        ticks = {tick["partition"]: tick for tick in self._repository.ticks(ticked)}
        versions = highest(tick_versions(tick["body"]) for tick in ticks.values())
        archive = Archive(self.client, self.settings)
        for partition in self.cursors:
            behind = ticks[partition]["seq"] if partition in ticks else 0
            for chunk in archive.chunks(LOG.name, partition, behind):
                versions |= highest(versions_of(message) for message in chunk)
        return versions

    def _lost_inbox(self) -> dict[int, tuple[int, int]]:
        topic = self.settings.topic(INBOX.name)
        return {
            partition: (self.cursors[partition].next.get(INBOX.name, 0), low)
            for partition, (low, _) in ends(
                self.reader, topic, self.settings.partitions, KAFKA_SECONDS
            ).items()
            if self.cursors[partition].next.get(INBOX.name, 0) < low
        }
