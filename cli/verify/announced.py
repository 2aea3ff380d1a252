"""Messages beside the documents that they announce: what of them is not as it was stored."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache

import msgspec

from cli.verify.documents import INSTANTS_KEPT_MAX, instant, texts
from cli.verify.topic import Carried
from shared.contracts.decisions import place
from shared.runtime.ports import Document

_decode = msgspec.json.Decoder().decode


def of_event(message: Carried, event: Document, lineage: str) -> Iterator[str]:
    """A message of the log beside the stored event; a header that is not known here is passed
    over."""
    expected = {
        **_common(event, lineage),
        "ce_id": event["id"].encode(),
        "ce_source": event["source"].encode(),
        "seq": b"%d" % event["seq"],
    }
    yield from _wrong(message, event, expected)
    if message.headers.get("content", event["content"].encode()) != event["content"].encode():
        yield "its message has the content hash of another"
    if message.value != event["body"].encode():
        yield "its message has another body"


def of_decision(message: Carried, decision: Document, service: str, lineage: str) -> Iterator[str]:
    """A message of facts beside the stored decision."""
    expected = {
        **_common(decision, lineage),
        "ce_id": decision["event"].encode(),
        "ce_source": service.encode(),
        "seq": b"%d" % place(decision["_id"])[1],
        "previous": b"%d" % decision["previous"],
        "outcome": decision["outcome"].encode(),
    }
    yield from _wrong(message, decision, expected)
    stored = {"facts": decision["facts"], **decision["result"]}
    try:
        said = _decode(message.value)
    except msgspec.DecodeError:
        said = None
    if said != stored and said != texts(stored):  # few facts hold an instant
        yield "its message says other facts or balances"


def _common(document: Document, lineage: str) -> dict[str, bytes]:
    return {
        "ce_type": document["action"].encode(),
        "ce_time": _stamp(document["time"]),
        "tenant": document["tenant"].encode(),
        "customer": document["customer"].encode(),
        "lineage": lineage.encode(),
        "recorded_at": _stamp(document["at"]),
        "program": b"%d" % document["program"],
    }


@lru_cache(INSTANTS_KEPT_MAX)
def _stamp(moment: datetime) -> bytes:
    return instant(moment).encode()


def _wrong(message: Carried, of: Document, expected: Mapping[str, bytes]) -> Iterator[str]:
    headers = message.headers
    if message.key != b"%b/%b" % (expected["tenant"], expected["customer"]):
        yield "its message has the key of another customer"
    if not expected.items() <= headers.items():
        yield from _unlike(headers, expected)
    # These two may be left out of a message where there is nothing to say.
    for name, nothing in (("cause", ""), ("hops", 0)):
        said = headers.get(name, str(nothing).encode()).decode()
        if said != str(of.get(name, nothing)):
            yield f"its message says {name} {said!r}, not {of.get(name, nothing)!r}"


def _unlike(headers: Mapping[str, bytes], expected: Mapping[str, bytes]) -> Iterator[str]:
    for name, text in expected.items():
        if (said := headers.get(name, b"")) != text:
            said_text = said.decode(errors="replace")
            yield f"its message says {name} {said_text!r}, not {text.decode()!r}"
