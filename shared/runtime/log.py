"""The log: a stored event as the message that Kafka carries, and what is stored from a message."""

from datetime import datetime

from bson.binary import Binary

from shared.contracts.identity import dedupe_key
from shared.contracts.outcomes import instant
from shared.contracts.topics import LOG
from shared.runtime.messages import Unreadable
from shared.runtime.ports import Document, Message, Outgoing


def log_message(event: Document, lineage: str) -> Outgoing:
    """A document of `journal.events` → the message of the log that announces it: the same at
    first, when sent again and when read from the archive."""
    tenant, customer = event["tenant"], event["customer"]
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event["id"].encode()),
        ("ce_type", event["action"].encode()),
        ("ce_source", event["source"].encode()),
        ("ce_time", instant(event["time"]).encode()),
        ("tenant", tenant.encode()),
        ("customer", customer.encode()),
        ("seq", b"%d" % event["seq"]),
        ("lineage", lineage.encode()),
        ("recorded_at", instant(event["at"]).encode()),
        ("program", b"%d" % event["program"]),
        ("content", event["content"].encode()),
        ("hops", b"%d" % event["hops"]),
    ]
    if cause := event.get("cause"):
        headers.append(("cause", cause.encode()))
    if reply_to := event.get("reply_to"):
        headers.append(("reply_to", reply_to.encode()))
    key = f"{tenant}/{customer}".encode()
    return Outgoing(LOG.name, key, event["body"].encode(), headers, event["partition"])


def stored_event(message: Message) -> Document:
    """A message of the log → the very document of `journal.events` that it was made from.

    Raises `Unreadable` where a header is missing: what was written before messages carried the
    hash of their content cannot be stored again.
    """
    headers = message.headers
    try:
        event: Document = {
            "_id": Binary(dedupe_key(headers["tenant"], headers["ce_id"])),
            "id": headers["ce_id"],
            "tenant": headers["tenant"],
            "customer": headers["customer"],
            "action": headers["ce_type"],
            "time": datetime.fromisoformat(headers["ce_time"]),
            "content": headers["content"],
            "source": headers["ce_source"],
            "hops": int(headers["hops"]),
            "body": message.value.decode(),
            "partition": message.partition,
            "seq": int(headers["seq"]),
            "at": datetime.fromisoformat(headers["recorded_at"]),
            "program": int(headers["program"]),
        }
    except (KeyError, ValueError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    optional = {name: headers[name] for name in ("cause", "reply_to") if name in headers}
    return event | optional
