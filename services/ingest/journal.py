"""The journal: the one sequencer. Drops repeats, numbers the rest, stamps, stores, announces."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bson.binary import Binary

from services.ingest.domain.admission import NotOurs, Submission, admit
from services.ingest.domain.sequence import Sequence as Log
from services.ingest.domain.sequence import clamp, milliseconds, tick_id
from services.ingest.repository import JournalRepository, batch_document
from shared.contracts.identity import dedupe_key
from shared.contracts.problems import problem
from shared.runtime import metrics
from shared.runtime.deciding import encode, outcome_message
from shared.runtime.log import log_message
from shared.runtime.messages import TICK
from shared.runtime.ports import Cursor, Dead, Document, Message, Outgoing, Transaction

Clock = Callable[[], datetime]
"""The one clock that anything in Laurel reads."""


class Journal:
    """The projector's handler (see `ports.Handler`) for `events.inbox`."""

    def __init__(self, repository: JournalRepository, partitions: int, clock: Clock) -> None:
        self._repository = repository
        self._partitions = partitions
        self._clock = clock
        self._lineage = repository.lineage()

    def due(self, cursors: Mapping[int, Cursor]) -> bool:
        """A tick each minute, in every partition."""
        now = self._clock()
        return any(_log(cursor).due_tick(now) is not None for cursor in cursors.values())

    def decide(self, messages: Sequence[Message], cursors: Mapping[int, Cursor]) -> "Sequenced":
        """Admits, drops repeats by key and content, numbers what is new."""
        work = Sequenced(milliseconds(self._clock()), self._lineage, cursors)
        work.tick()
        submissions = list(self._admitted(messages, work))
        known = self._repository.known({submission.key for _, submission in submissions})
        for partition, submission in submissions:
            first = known.get(submission.key)
            if first is None:
                known[submission.key] = work.append(partition, submission)
            else:
                work.repeat(submission, first)
        for message in messages:
            work.inbox_next[message.partition] = message.offset + 1
        return work

    def resend(self, cursor: Cursor) -> Iterable[Outgoing]:
        """Events behind the acknowledged mark, from the batches in order."""
        events = self._repository.after(cursor.partition, cursor.announced)
        return (log_message(event, self._lineage) for event in events)

    def forget(self, partitions: object) -> None:
        """Nothing is cached: what is known is asked for each batch."""

    def _admitted(
        self, messages: Sequence[Message], work: "Sequenced"
    ) -> Iterator[tuple[int, Submission]]:
        for message in messages:
            try:
                at = (message.partition, self._partitions)
                yield message.partition, admit(message.key, message.value, message.headers, at)
            except NotOurs as error:
                work.letters.append(Dead(message, str(error)))


@dataclass(slots=True)
class Sequenced:
    """A batch with numbers, ready to be stamped and stored (see `ports.Work`)."""

    now: datetime
    lineage: str
    cursors: Mapping[int, Cursor]
    letters: list[Dead] = field(default_factory=list)
    inbox_next: dict[int, int] = field(default_factory=dict)
    _logs: dict[int, Log] = field(default_factory=dict)
    _events: dict[int, list[Document]] = field(default_factory=dict)
    _answers: list[Outgoing] = field(default_factory=list)
    _batches: list[Document] = field(default_factory=list)
    _results: Counter[str] = field(default_factory=Counter)

    @property
    def dead(self) -> Sequence[Dead]:
        """What the gateway cannot have made."""
        return self.letters

    def tick(self) -> None:
        """Puts the due ticks in: time is an event, so that no rule ever reads a clock."""
        for partition, cursor in self.cursors.items():
            log = _log(cursor)
            if (as_of := log.due_tick(self.now)) is None:
                continue
            self._logs[partition] = log
            previous, log.ticked = log.ticked, as_of
            self._add(log, tick_document(partition, as_of, previous))

    def append(self, partition: int, submission: Submission) -> Document:
        """Numbers a new event; returns its document, not yet stamped with the program."""
        if partition not in self._logs:
            self._logs[partition] = _log(self.cursors[partition])
        self._results["recorded"] += 1
        return self._add(self._logs[partition], event_document(submission))

    def repeat(self, submission: Submission, first: Document) -> None:
        """An id that is known: the first outcome for the same content, a conflict for another."""
        same = first["content"] == submission.content
        self._results["repeated" if same else "conflict"] += 1
        if not submission.reply_to:
            return
        answer: Mapping[str, object]
        if same:
            answer = {
                "id": submission.id,
                "repeat_of": {"partition": first["partition"], "seq": first["seq"]},
            }
        else:
            answer = problem("event_conflict", id=submission.id)
        self._answers.append(
            outcome_message(submission.tenant, submission.id, submission.reply_to, answer)
        )

    def prepare(self, transaction: Transaction) -> None:
        """Stamps the program versions, read in the transaction and so after consuming: an event
        sent after a change was answered is decided under it. Then chains the hashes."""
        heads = transaction.find("heads", service="program") if self._events else []
        versions: dict[str, int] = {head["_id"]: head["version"] for head in heads}
        self._batches = []
        for partition, events in self._events.items():
            for event in events:
                _stamp(event, versions)
            self._batches.append(self._batch(partition, events))

    def last(self) -> Mapping[int, int]:
        """The log's own numbers are the announced ones."""
        return {partition: self._logs[partition].seq for partition in self._events}

    def marks(self) -> Mapping[int, Mapping[str, Any]]:
        """What the next batch goes on from."""
        return {batch["partition"]: batch["marks"] for batch in self._marked()}

    def write(self, transaction: Transaction) -> None:
        """Events and their batches, never to be changed again."""
        every = [event for events in self._events.values() for event in events]
        JournalRepository.store(transaction, every, self._batches)

    def outgoing(self) -> Iterable[Outgoing]:
        """The log, then the answers that need no owner."""
        for events in self._events.values():
            for event in events:
                yield log_message(event, self.lineage)
        yield from self._answers

    def committed(self) -> None:
        """Counted once, however often the batch was decided; nothing is cached."""
        for result, count in self._results.items():
            metrics.JOURNAL_EVENTS.labels(result).inc(count)

    def _add(self, log: Log, event: Document) -> Document:
        event["partition"] = log.partition
        event["seq"] = log.take()
        event["at"] = log.stamp(self.now)
        event["time"] = clamp(event["time"], event["at"])
        self._events.setdefault(log.partition, []).append(event)
        return event

    def _batch(self, partition: int, events: list[Document]) -> Document:
        cursor = self.cursors[partition]
        inbox_next = self.inbox_next.get(partition, cursor.next.get("events.inbox", 0))
        return batch_document(partition, events, _log(cursor).hash, inbox_next)

    def _marked(self) -> Iterator[dict[str, Any]]:
        for batch, (partition, log) in zip(self._batches, self._by_partition(), strict=True):
            marks = {"recorded_at": log.recorded_at, "ticked": log.ticked, "hash": batch["hash"]}
            yield {"partition": partition, "marks": marks}

    def _by_partition(self) -> Iterator[tuple[int, Log]]:
        return ((partition, self._logs[partition]) for partition in self._events)


def event_document(submission: Submission) -> Document:
    """What is stored of a submission; `partition, seq, at, time, program` follow."""
    document: Document = {
        "_id": Binary(submission.key),
        "id": submission.id,
        "tenant": submission.tenant,
        "customer": submission.customer,
        "action": submission.action,
        "time": submission.time,
        "content": submission.content,
        "source": submission.source,
        "hops": submission.hops,
        "body": submission.body,
    }
    if submission.cause:
        document["cause"] = submission.cause
    if submission.reply_to:
        document["reply_to"] = submission.reply_to
    return document


def tick_document(partition: int, as_of: datetime, previous: datetime | None) -> Document:
    """A tick is stored like an event, of no tenant and no customer."""
    id_ = tick_id(partition, as_of)
    return {
        "_id": Binary(dedupe_key("", id_)),
        "id": id_,
        "tenant": "",
        "customer": "",
        "action": TICK,
        "time": as_of,
        "content": "",
        "source": "journal",
        "hops": 0,
        "body": {"as_of": as_of, "previous": previous},
    }


def _stamp(event: Document, versions: Mapping[str, int]) -> None:
    if event["action"] != TICK:
        event["program"] = versions.get(event["tenant"], 0)
    elif isinstance(event["body"], dict):
        # A sweep decides under the versions of its tick, not under those of when it runs.
        event["program"] = 0
        event["body"] = encode(
            {**event["body"], "programs": dict(sorted(versions.items()))}
        ).decode()


def _log(cursor: Cursor) -> Log:
    marks = cursor.marks
    return Log(
        partition=cursor.partition,
        seq=cursor.last,
        recorded_at=marks.get("recorded_at"),
        ticked=marks.get("ticked"),
        hash=bytes(marks.get("hash", bytes(32))),
    )
