"""What one would write without Laurel: three hand-written writers, measured beside it.

`raw` inserts documents like the journal's, 2,000 at a time, and does nothing else: the most that
this mongod takes. It reads nothing, and a crash loses or doubles a batch.

`bulk` is a good consumer for batches: up to 2,000 messages of the log, one find of the customers'
states, decisions by one insert_many, states and lot pages by one bulk_write each; then it commits
its offsets. It writes the documents that points writes (one decision for an event with the same
two indexes, one state for a customer and batch with the lots of its last page, a page of 32 lots
when it is full). It lacks: one
transaction over all of that with the position (after a crash between two writes the batch is
decided on states that have it already, or its decisions are there twice: `measured`, kill test);
an epoch, so that a worker which lost its partition goes on writing; announcements of facts and
outcomes; refusals, burning, expiry, several accounts, rules from a versioned program; repeats of a
transaction id; and the check of balances against lots.

`per-event` is what most would write first: take a message, find the customer, update the balance,
insert the decision, commit the offset now and then. It lacks the same, and every event pays for
three round trips.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from bson.binary import Binary
from confluent_kafka import Consumer, Message
from pymongo import MongoClient, ReplaceOne
from pymongo.collection import Collection
from pymongo.database import Database

from bench.children import say, wait_for_end
from shared.contracts.decisions import number
from shared.runtime.ports import Document

BATCH = 2_000
PAGE_LOTS = 32
ACCOUNT = "main"
CONSUME_SECONDS = 0.05
SILENT_SECONDS = 30.0
"""Without a message for so long, the topic has fewer than were promised."""


class Basket(msgspec.Struct):
    """What these loops read of a checkout."""

    transaction_id: str
    total: str
    currency: str


class Logged(msgspec.Struct):
    """What these loops read of an event."""

    id: str
    customer: str
    data: Basket


_decode = msgspec.json.Decoder(Logged).decode
_encode = msgspec.json.Encoder().encode
LOT = ("event", "n", "points", "used", "held", "earned_at", "expires_at")
_decode_page = msgspec.json.Decoder(
    list[tuple[str, int, int, int, int, datetime, datetime | None]]
).decode


def raw(database: Database[Document], count: int) -> Iterator[int]:
    """Plain insert_many; yields how many are in."""
    events, at = database["events"], datetime.now(UTC)
    body = msgspec.json.encode(_a_body()).decode()
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        events.insert_many([_journal_event(n, at, body) for n in numbers], ordered=False)
        yield len(numbers)


def bulk(database: Database[Document], consumer: Consumer, count: int) -> Iterator[int]:
    """Batches of the log; yields how many checkouts each had."""
    decisions, states, lots = (database[name] for name in ("decisions", "states", "lots"))
    last: dict[int, int] = {}
    while count:
        messages = _checkouts(consumer.consume(BATCH, CONSUME_SECONDS))
        if not messages:
            yield 0
            continue
        keys = list({message.key() for message, _ in messages})
        found = states.find({"_id": {"$in": [key.decode() for key in keys if key]}})
        held = {state["_id"]: state for state in found}
        made: list[Document] = []
        pages: dict[str, Document] = {}
        for message, headers in messages:
            made.append(_decide(message, headers, held, pages, last))
        decisions.insert_many(made, ordered=False)
        states.bulk_write([ReplaceOne({"_id": key}, held[key]) for key in held], ordered=False)
        if pages:
            full = [ReplaceOne({"_id": key}, page, upsert=True) for key, page in pages.items()]
            lots.bulk_write(full, ordered=False)
        consumer.commit(asynchronous=True)
        count -= len(messages)
        yield len(messages)


def per_event(database: Database[Document], consumer: Consumer, count: int) -> Iterator[int]:
    """One message after the other; offsets are committed by the client, every five seconds."""
    decisions, states = database["decisions"], database["states"]
    while count:
        message = consumer.poll(CONSUME_SECONDS)
        taken = _checkouts([message] if message is not None else [])
        for item, headers in taken:
            _one(decisions, states, item, headers)
        count -= len(taken)
        yield len(taken)


def _one(
    decisions: Collection[Document],
    states: Collection[Document],
    message: Message,
    headers: Mapping[str, bytes],
) -> None:
    held = {state["_id"]: state for state in states.find({"_id": (message.key() or b"").decode()})}
    decision = _decide(message, headers, held, {}, {})
    points = decision["transaction"]["rewarded"]
    states.update_one({"_id": next(iter(held))}, {"$inc": {f"accounts.{ACCOUNT}.score": points}})
    decisions.insert_one(decision)


def prepare(database: Database[Document], customers: Iterable[str], tenant: str) -> None:
    """Every customer has joined; the indexes are those of points."""
    database["states"].insert_many(
        [
            {
                "_id": f"{tenant}/{customer}",
                "tenant": tenant,
                "customer": customer,
                "partition": 0,
                "standing": "active",
                "generation": 0,
                "since": 0,
                "accounts": {
                    ACCOUNT: {
                        "score": 0,
                        "spent": 0,
                        "pending": 0,
                        "reserved": 0,
                        "expired": 0,
                        "made": 0,
                        "due": None,
                        "first": 0,
                        "last": "",
                    }
                },
            }
            for customer in customers
        ]
    )
    database["decisions"].create_index([("tenant", 1), ("customer", 1), ("_id", 1)])
    database["decisions"].create_index(
        [("transaction.id", 1), ("customer", 1)],
        partialFilterExpression={"transaction.id": {"$exists": True}},
    )


def _decide(
    message: Message,
    headers: Mapping[str, bytes],
    held: Mapping[str, Document],
    pages: dict[str, Document],
    last: dict[int, int],
) -> Document:
    """The decision's document; changes the state, adds a page that is full."""
    event = _decode(message.value() or b"")
    key = (message.key() or b"").decode()
    account = held[key]["accounts"][ACCOUNT]
    partition, whole = message.partition() or 0, event.data.total.replace(".", "")
    points = (int(whole) + 500) // 1000  # 10 % of the minor units, in whole units
    at = datetime.fromisoformat(headers["recorded_at"].decode())
    account["score"] += points
    _earn(key, account, _encode((event.id, 0, points, 0, 0, at, None)).decode(), pages)
    decision = number(partition, int(headers["seq"]))
    previous, last[partition] = last.get(partition, 0), decision
    return {
        "_id": decision,
        "previous": previous,
        "event": event.id,
        "tenant": headers["tenant"].decode(),
        "customer": event.customer,
        "action": "checkout",
        "at": at,
        "time": datetime.fromisoformat(headers["ce_time"].decode()),
        "program": int(headers["program"]),
        "outcome": "accepted",
        "facts": [
            {"type": "points_earned", "account": ACCOUNT, "points": points, "expires_at": None}
        ],
        "result": {"balances": {ACCOUNT: _balance(account)}},
        "transaction": {
            "id": event.data.transaction_id,
            "account": ACCOUNT,
            "total": int(whole),
            "currency": event.data.currency,
            "rewarded": points,
            "burned": 0,
            "digest": hashlib.sha256(message.value() or b"").digest()[:16],
        },
    }


def _balance(account: Document) -> Document:
    names = ("score", "spent", "pending", "reserved", "expired")
    spendable = account["score"] - account["spent"] - account["expired"] - account["reserved"]
    return {**{name: account[name] for name in names}, "spendable": spendable}


def _earn(key: str, account: Document, lot: str, pages: dict[str, Document]) -> None:
    """One more lot in the last page; a full one goes to a document of its own."""
    account["last"] = f"{account['last'][:-1]},{lot}]" if account["last"] else f"[{lot}]"
    account["made"] += 1
    if account["made"] % PAGE_LOTS == 0:
        n = account["made"] // PAGE_LOTS - 1
        lots = [dict(zip(LOT, each, strict=True)) for each in _decode_page(account["last"])]
        page = {"_id": f"{key}/0/{ACCOUNT}/{n}", "customer": key, "account": ACCOUNT, "n": n}
        pages[page["_id"]] = page | {"lots": lots}
        account["last"] = ""


def _checkouts(messages: Iterable[Message]) -> list[tuple[Message, Mapping[str, bytes]]]:
    """Only checkouts: enrolments and ticks are on the log, too."""
    found = []
    for message in messages:
        if message.error() is not None:
            raise RuntimeError(str(message.error()))
        headers: Mapping[str, bytes] = dict(message.headers() or [])  # type: ignore[arg-type]
        if headers["ce_type"] == b"checkout":
            found.append((message, headers))
    return found


def _journal_event(n: int, at: datetime, body: str) -> Document:
    event_id = f"e-{n:07}"
    return {
        "_id": Binary(hashlib.sha256(f"demo\0{event_id}".encode()).digest()[:16]),
        "id": event_id,
        "tenant": "demo",
        "customer": f"c-{n % 2_500:05}",
        "action": "checkout",
        "time": at,
        "content": hashlib.sha256(event_id.encode()).hexdigest(),
        "source": "gateway",
        "hops": 0,
        "body": body,
        "partition": n % 8,
        "seq": n // 8,
        "at": at,
        "program": 3,
    }


def _a_body() -> Document:
    items = [{"price": "60.00", "product_id": f"p-{n}", "quantity": 1} for n in (1_204, 87)]
    data = {"currency": "USD", "items": items, "total": "120.00", "transaction_id": "T-e-0000000"}
    envelope = {"id": "e-0000000", "customer": "c-00000", "action": "checkout", "account": ""}
    return {**envelope, "data": data}


class Clock:
    """Runs from the assignment of partitions, as that of Laurel's workers does."""

    began = 0.0

    def start(self) -> None:
        """Says so to whoever measures."""
        if not self.began:
            self.began = time.perf_counter()
            say({"begun": True})


def main(arguments: list[str]) -> int:
    """Says `{"begun": true}` when it has its partitions, then what it did; ends with its input."""
    parser = argparse.ArgumentParser(description="A hand-written loop of the bench.")
    parser.add_argument("loop", choices=("raw", "bulk", "per-event"))
    for name in ("mongo", "database", "kafka", "topic"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="at most")
    asked, clock = parser.parse_args(arguments), Clock()
    with MongoClient[Document](asked.mongo, tz_aware=True) as mongo:
        database = mongo[asked.database]
        if asked.loop == "raw":
            clock.start()
            _run(raw(database, asked.events), asked.seconds, clock)
            return 0
        consumer = Consumer(_consumer_settings(asked))
        consumer.subscribe([asked.topic], on_assign=lambda *_: clock.start())
        loops: Mapping[str, Callable[..., Iterator[int]]] = {"bulk": bulk, "per-event": per_event}
        try:
            _run(loops[asked.loop](database, consumer, asked.events), asked.seconds, clock)
        finally:
            consumer.close()
    return 0


def _consumer_settings(asked: argparse.Namespace) -> dict[str, Any]:
    return {
        "bootstrap.servers": asked.kafka,
        "group.id": f"{asked.topic}.{asked.loop}",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": asked.loop == "per-event",
    }


def _run(steps: Iterator[int], seconds: float, clock: Clock) -> None:
    """Steps to the end, or for so many seconds."""
    events, waiting_since = 0, time.perf_counter()
    for count in steps:
        now = time.perf_counter()
        events += count
        if clock.began and now - clock.began > seconds:
            break
        if count:
            waiting_since = now
        elif now - waiting_since > SILENT_SECONDS:
            raise RuntimeError(f"no message for {SILENT_SECONDS:.0f} s")
    say({"events": events, "seconds": time.perf_counter() - clock.began})
    wait_for_end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
