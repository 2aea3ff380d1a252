"""The journal: batches without a gap, every event where its batch says, the chain of hashes.

What is hashed and how is written here once more, on purpose: a mistake in the journal's own code
must not excuse itself.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pymongo.database import Database

from cli.verify.documents import customer_of, instant
from cli.verify.findings import Findings
from cli.verify.snapshot import Part
from shared.contracts.batches import batch_id, first_seq_of
from shared.contracts.identity import dedupe_key
from shared.contracts.partitions import partition_of
from shared.runtime.ports import Document

BATCHES = "journal.batches"
EVENTS = "journal.events"
GENESIS = bytes(32)
CHUNK_EVENTS = 2_000
TICK = "tick"


@dataclass(slots=True)
class Journal:
    """Walks the batches of one partition up to its cursor; differences go to `found`."""

    database: Database[Document]
    part: Part
    found: Findings
    seq: int = 0
    hash: bytes = GENESIS
    at: datetime | None = None
    inbox_next: int = 0
    present: int = 0
    versions: dict[str, int] = field(default_factory=dict)

    def chunks(self) -> Iterator[list[Document]]:
        """The stored events in the order of the log, some 2,000 at a time."""
        chunk: list[Document] = []
        keys = 0
        for batch in self._batches():
            chunk.append(batch)
            keys += len(batch["keys"])
            if keys >= CHUNK_EVENTS:
                yield self._events(chunk)
                chunk, keys = [], 0
        yield self._events(chunk)
        self._check_cursor()
        self._check_count()

    def _batches(self) -> Iterator[Document]:
        p, last = self.part.partition, self.part.cursor("journal")["last"]
        bounds = {"$gte": batch_id(p, 0), "$lte": batch_id(p, last)}
        yield from self.database["batches"].find({"_id": bounds}).sort("_id", 1)

    def _events(self, batches: Sequence[Document]) -> list[Document]:
        keys = [key for batch in batches for key in batch["keys"]]
        stored = {event["_id"]: event for event in self.database["events"].find(_among(keys))}
        events: list[Document] = []
        for batch in batches:
            self._check_batch(batch, [stored.get(key) for key in batch["keys"]])
            events += self._check_events(batch, stored)
        self.found.checked[BATCHES] += len(batches)
        self.found.checked[EVENTS] += len(keys)
        return events

    def _check_batch(self, batch: Document, events: Sequence[Document | None]) -> None:
        def wrong(sentence: str) -> None:
            self.found.differ(BATCHES, "", batch["_id"], sentence)

        first, count = first_seq_of(batch["_id"]), len(batch["keys"])
        if first != self.seq + 1:
            wrong(f"begins at number {first}, but the batch before it ends at {self.seq}")
        if batch["count"] != count:
            wrong(f"counts {batch['count']} events, but lists {count}")
        if batch["previous_hash"] != self.hash:
            wrong("its previous_hash is not the hash of the batch before it")
        if batch["inbox_next"] < self.inbox_next:
            wrong(f"its position in the inbox, {batch['inbox_next']}, went back")
        present = [event for event in events if event is not None]
        if len(present) == count and chained(batch["previous_hash"], present) != batch["hash"]:
            wrong(f"its hash is not that of its events, numbers {first} to {first + count - 1}")
        self.seq, self.hash = first + count - 1, batch["hash"]
        self.inbox_next = batch["inbox_next"]

    def _check_events(self, batch: Document, stored: dict[bytes, Document]) -> Iterator[Document]:
        for seq, key in enumerate(batch["keys"], first_seq_of(batch["_id"])):
            event = stored.get(key)
            if event is None:
                sentence = f"is listed by batch {batch['_id']} as number {seq}, but is not stored"
                self.found.differ(EVENTS, "", key, sentence)
                continue
            self.present += 1
            for sentence in self._wrong(event, seq):
                self.found.differ(EVENTS, customer_of(event), key, sentence)
            event["seq"] = seq  # where its batch has it; another one was just reported
            yield event

    def _wrong(self, event: Document, seq: int) -> Iterator[str]:
        p, tenant = self.part.partition, event["tenant"]
        if (event["partition"], event["seq"]) != (p, seq):
            yield f"says {event['partition']}-{event['seq']}, but its batch has it at {p}-{seq}"
        if dedupe_key(tenant, event["id"]) != event["_id"]:
            yield f"is stored under a key that is not that of its id {event['id']!r}"
        if self.at is not None and event["at"] < self.at:
            yield f"was recorded at {instant(event['at'])}, before the one in front of it"
        self.at = event["at"]
        if event["action"] != TICK:
            if partition_of(customer_of(event).encode(), self.part.partitions) != p:
                yield f"stands in partition {p}, where its customer does not live"
            yield from self._wrong_version(event)

    def _wrong_version(self, event: Document) -> Iterator[str]:
        tenant, version = event["tenant"], event["program"]
        head, before = self.part.heads.get(tenant, 0), self.versions.get(tenant, 0)
        if version > head:
            yield f"is stamped with program version {version}, but the tenant's last is {head}"
        if version < before:
            yield f"is stamped with program version {version}, after one with {before}"
        self.versions[tenant] = version if version <= head else before

    def _check_cursor(self) -> None:
        cursor = self.part.cursor("journal")
        marks = cursor["marks"]

        def wrong(sentence: str) -> None:
            self.found.differ("journal.cursors", "", self.part.partition, sentence)

        if cursor["last"] != self.seq:
            wrong(f"last is {cursor['last']}, but the last batch ends at {self.seq}")
        if self.seq and marks.get("hash") != self.hash:
            wrong("its hash is not that of the last batch")
        if self.seq and marks.get("recorded_at") != self.at:
            wrong(f"recorded_at is {marks.get('recorded_at')}, but of the last event {self.at}")
        if cursor["next"].get("events_inbox", 0) < self.inbox_next:
            wrong("its position in the inbox is before that of the last batch")

    def _check_count(self) -> None:
        """An event that no batch lists is found by counting, and by looking only then."""
        if self.part.events == self.present:
            return
        listed = {key for batch in self._batches() for key in batch["keys"]}
        bounds = {"partition": self.part.partition, "seq": {"$lte": self.seq}}
        for event in self.database["events"].find(bounds, {"body": 0}):
            if event["_id"] not in listed:
                sentence = f"is number {event['seq']}, but no batch lists it"
                self.found.differ(EVENTS, customer_of(event), event["_id"], sentence)


def chained(previous: bytes, events: Iterable[Document]) -> bytes:
    """The hash of a batch: SHA-256 over the one before it and each event's record with its length,
    eight bytes, most significant first."""
    digest = hashlib.sha256(previous)
    for event in events:
        record = _record(event)
        digest.update(len(record).to_bytes(8, "big"))
        digest.update(record)
    return digest.digest()


def _record(event: Document) -> bytes:
    """What the chain proves of an event: its members in this order, NULs between."""
    at, time = instant(event["at"]), instant(event["time"])
    return (
        f"{event['id']}\0{event['tenant']}\0{event['customer']}\0{event['action']}"
        f"\0{event['partition']}\0{event['seq']}\0{at}\0{time}"
        f"\0{event['program']}\0{event['content']}\0{event['source']}"
        f"\0{event.get('cause', '')}\0{event['hops']}\0{event['body']}"
    ).encode()


def _among(keys: Sequence[bytes]) -> Document:
    return {"_id": {"$in": list(keys)}}
