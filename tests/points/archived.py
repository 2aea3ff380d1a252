"""The journal's archive of a desk: what was logged, stored as the journal stores it."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import msgspec
from bson.binary import Binary

from shared.contracts.batches import batch_id
from shared.contracts.identity import dedupe_key
from shared.runtime.archive import Archive
from shared.runtime.ports import Document, Message
from tests.points.desk import LINEAGE, Desk


def archived(desk: Desk, messages: Sequence[Message]) -> list[Message]:
    """Stores them, one batch for each partition, and returns them as the log carries them."""
    journal = desk.client[desk.settings.database("journal")]
    journal.log.update_one({"_id": "log"}, {"$set": {"lineage": LINEAGE}}, upsert=True)
    of_archive = Archive(desk.client, desk.settings)
    announced = []
    ordered = sorted(messages, key=lambda message: (message.partition, message.offset))
    for partition, some in groupby(ordered, key=lambda message: message.partition):
        events = [_stored(message) for message in some]
        keys = [event["_id"] for event in events]
        journal.events.insert_many(events)
        first: Any = events[0]["seq"]
        journal.batches.insert_one(
            {"_id": batch_id(partition, first), "count": len(keys), "keys": keys}
        )
        for message in of_archive.after("events.log", partition, first - 1, len(keys)):
            offset = int(message.headers["seq"]) - 1
            announced.append(msgspec.structs.replace(message, offset=offset))
    return announced


def _stored(message: Message) -> Document:
    headers = message.headers
    tenant = headers["tenant"]
    return {
        "_id": Binary(dedupe_key(tenant, headers["ce_id"])),
        "id": headers["ce_id"],
        "tenant": tenant,
        "customer": headers["customer"],
        "action": headers["ce_type"],
        "source": "gateway",
        "partition": message.partition,
        "seq": int(headers["seq"]),
        "at": datetime.fromisoformat(headers["recorded_at"]),
        "time": datetime.fromisoformat(headers["ce_time"]),
        "program": int(headers["program"]),
        "content": hashlib.sha256(message.value).hexdigest(),
        "hops": 0,
        "reply_to": headers["reply_to"],
        "body": message.value.decode(),
    }
