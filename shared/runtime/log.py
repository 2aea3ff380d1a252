"""The log: a stored event as the message that Kafka carries, at first and whenever sent again."""

from shared.contracts.outcomes import instant
from shared.contracts.topics import LOG
from shared.runtime.ports import Document, Outgoing


def log_message(event: Document, lineage: str) -> Outgoing:
    """A document of `journal.events` → the message of the log that announces it."""
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
        ("hops", b"%d" % event["hops"]),
    ]
    if cause := event.get("cause"):
        headers.append(("cause", cause.encode()))
    if reply_to := event.get("reply_to"):
        headers.append(("reply_to", reply_to.encode()))
    key = f"{tenant}/{customer}".encode()
    return Outgoing(LOG.name, key, event["body"].encode(), headers, event["partition"])
