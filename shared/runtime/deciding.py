"""Deciding: numbers decisions, chains them, and turns them into what is announced.

`decisions` is ledger, outbox and answer at once: everything that is announced can be made again
from the stored documents, which is what a new owner does.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import msgspec

from shared.contracts.decisions import ORDINAL_BITS, Decision, place
from shared.contracts.events import Event
from shared.contracts.outcomes import INSTANTS_KEPT_MAX, instant, outcome_of
from shared.contracts.topics import OUTCOMES
from shared.runtime import metrics
from shared.runtime.ports import BrokenInvariant, Cursor, Document, Outgoing

DECISIONS = "decisions"
ORDINAL_MAX = 60_000
"""Decisions at one log position (sweeps, unparking); what is more waits for the next message."""


def _plain_integer(value: object) -> int:
    """What BSON's 64-bit integers are read as is a subclass of `int`, which the encoder refuses."""
    if isinstance(value, int):
        return int(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


_encode = msgspec.json.Encoder(enc_hook=_plain_integer).encode


def encode(value: object) -> bytes:
    """JSON of an outcome or of announced facts: instants as RFC 3339 with `Z`."""
    return _encode(_texts(value))


def _encode_facts(document: Document) -> bytes:
    """What every decision announces; few facts name an instant, so most need no second look."""
    announced = {"facts": document["facts"], **document["result"]}
    for fact in announced["facts"]:
        if datetime in map(type, fact.values()):
            return encode(announced)
    return _encode(announced)


def _texts(value: object) -> object:
    """Instants as texts: ours show milliseconds only where there are some."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, Mapping):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_texts(item) for item in value]
    return value


@dataclass(slots=True)
class Decided:
    """The decisions of one batch, in order. `cursors` are those before the batch."""

    service: str
    cursors: Mapping[int, Cursor]
    lineage: str
    documents: list[Document] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)

    def record(
        self,
        event: Event,
        decision: Decision,
        result: Mapping[str, object],
        transaction: Document | None = None,
    ) -> Document:
        """Numbers the decision, links it to the one before it in its partition, keeps its document.

        `result` is what the service announces beside the facts (points: `balances`). Raises
        `BrokenInvariant` where the log would go backwards.
        """
        key, previous = event.number, self._before(event.partition)
        if key <= previous:
            raise BrokenInvariant(f"decision {key} would not follow {previous} in its partition")
        self.last[event.partition] = key
        document: Document = {
            "_id": key,
            "previous": previous,
            "event": event.id,
            "tenant": event.tenant,
            "customer": event.customer,
            "action": event.action,
            "at": event.recorded_at,
            "time": event.time,
            "program": event.program,
            "outcome": decision.outcome,
            "facts": [fact_document(fact) for fact in decision.facts],
            "result": dict(result),
        }
        _add(document, decision, event, transaction)
        self.documents.append(document)
        return document

    def outgoing(self) -> Iterator[Outgoing]:
        """Facts of every decision, and outcomes for those who wait."""
        return announcements(self.documents, self.service, self.lineage)

    def count(self) -> None:
        """Counts the decisions, once they are committed."""
        outcomes = Counter(document["outcome"] for document in self.documents)
        for outcome, count in outcomes.items():
            metrics.DECISIONS.labels(self.service, outcome).inc(count)

    def ordinal(self, partition: int, seq: int) -> int:
        """The next free one at a place of the log: 0 where nothing has been decided."""
        before = self._before(partition)
        return (before & 2**ORDINAL_BITS - 1) + 1 if place(before) == (partition, seq) else 0

    def _before(self, partition: int) -> int:
        return self.last.get(partition, self.cursors[partition].last)


def _add(
    document: Document, decision: Decision, event: Event, transaction: Document | None
) -> None:
    """Members that most decisions lack: left out where empty, since each costs bytes per event."""
    if decision.code:
        document["code"] = decision.code
    if decision.details:
        document["details"] = dict(decision.details)
    if decision.answer:
        document["answer"] = dict(decision.answer)
    if transaction:
        document["transaction"] = transaction
    # Only the owner answers: a follower's decision would tell whoever waits half the story.
    if event.reply_to and decision.outcome != "followed":
        document["reply_to"] = event.reply_to
    if event.cause:
        document["cause"] = event.cause
    if event.hops:
        document["hops"] = event.hops


def fact_document(fact: msgspec.Struct) -> Document:
    """A fact as it is stored and announced; instants stay dates."""
    document: Document = msgspec.to_builtins(fact, builtin_types=(datetime,))
    return document


def announcements(documents: Iterable[Document], service: str, lineage: str) -> Iterator[Outgoing]:
    """What the decisions say to the world, in order: the same from memory and from storage."""
    topic = f"{service}.facts"
    common = [
        ("ce_specversion", b"1.0"),
        ("ce_source", service.encode()),
        ("lineage", lineage.encode()),
    ]
    for document in documents:
        tenant, customer = document["tenant"], document["customer"]
        partition, seq = place(document["_id"])
        yield Outgoing(
            topic,
            f"{tenant}/{customer}".encode(),
            _encode_facts(document),
            [*common, *_headers(document, seq)],
            partition,
        )
        if reply_to := document.get("reply_to"):
            yield outcome_message(tenant, document["event"], reply_to, outcome_of(document))


def outcome_message(
    tenant: str, event: str, reply_to: str, outcome: Mapping[str, object]
) -> Outgoing:
    """An outcome for whoever waits: keyed by the gateway's instance, the part before the slash."""
    headers = [
        ("tenant", tenant.encode()),
        ("ce_id", event.encode()),
        ("reply_to", reply_to.encode()),
    ]
    return Outgoing(OUTCOMES.name, reply_to.partition("/")[0].encode(), encode(outcome), headers)


def _headers(document: Document, seq: int) -> Iterator[tuple[str, bytes]]:
    """Those that differ between decisions; `cause` and `hops` where there are some."""
    yield "ce_id", document["event"].encode()
    yield "ce_type", document["action"].encode()
    yield "ce_time", _stamp(document["time"])
    yield "tenant", document["tenant"].encode()
    yield "customer", document["customer"].encode()
    yield "seq", b"%d" % seq
    yield "recorded_at", _stamp(document["at"])
    yield "program", b"%d" % document["program"]
    yield "decision", b"%d" % document["_id"]
    yield "previous", b"%d" % document["previous"]
    yield "outcome", document["outcome"].encode()
    if cause := document.get("cause"):
        yield "cause", cause.encode()
    if hops := document.get("hops"):
        yield "hops", b"%d" % hops


@lru_cache(INSTANTS_KEPT_MAX)
def _stamp(moment: datetime) -> bytes:
    return instant(moment).encode()
