"""Messages beside the documents that they announce: what of them is not as it was stored."""

from collections.abc import Iterator, Mapping

import msgspec

from cli.verify.documents import instant, texts
from cli.verify.topic import Carried
from shared.contracts.decisions import place
from shared.runtime.ports import Document

_decode = msgspec.json.Decoder().decode


def of_event(message: Carried, event: Document, lineage: str) -> Iterator[str]:
    """A message of the log beside the stored event; a header that is not known here is passed
    over."""
    expected = {
        **_common(event, lineage),
        "ce_id": event["id"],
        "ce_source": event["source"],
        "seq": str(event["seq"]),
    }
    yield from _wrong(message, event, expected)
    content = message.headers.get("content")
    if content is not None and content.decode() != event["content"]:
        yield "its message's header content is another"
    if message.value != event["body"].encode():
        yield "its message has another body"


def of_decision(message: Carried, decision: Document, service: str, lineage: str) -> Iterator[str]:
    """A message of facts beside the stored decision."""
    expected = {
        **_common(decision, lineage),
        "ce_id": decision["event"],
        "ce_source": service,
        "seq": str(place(decision["_id"])[1]),
        "previous": str(decision["previous"]),
        "outcome": decision["outcome"],
    }
    yield from _wrong(message, decision, expected)
    stored = {"facts": decision["facts"], **decision["result"]}
    try:
        said = _decode(message.value)
    except msgspec.DecodeError:
        said = None
    if said != stored and said != texts(stored):  # few facts hold an instant
        yield "its message says other facts or balances"


def _common(document: Document, lineage: str) -> dict[str, str]:
    return {
        "ce_type": document["action"],
        "ce_time": instant(document["time"]),
        "tenant": document["tenant"],
        "customer": document["customer"],
        "lineage": lineage,
        "recorded_at": instant(document["at"]),
        "program": str(document["program"]),
        "cause": document.get("cause", ""),
        "hops": str(document.get("hops", 0)),
    }


def _wrong(message: Carried, of: Document, expected: Mapping[str, str]) -> Iterator[str]:
    if message.key.decode() != f"{of['tenant']}/{of['customer']}":
        yield "its message has the key of another customer"
    for name, text in expected.items():
        said = message.headers.get(name, b"").decode(errors="replace")
        if said != text:
            yield f"its message says {name} {said!r}, not {text!r}"
