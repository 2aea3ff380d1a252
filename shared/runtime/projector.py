"""The projector: the one loop that turns messages into state, exactly once in effect.

A partition has one owner, fenced by an epoch in MongoDB. Decisions, state and the positions of a
batch are one transaction; what it announces is produced after the commit and acknowledged before
the next one; a new owner first resends what follows the acknowledged mark (DESIGN section 4).
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage

from shared.runtime import metrics
from shared.runtime.announcing import Announcer
from shared.runtime.chains import Taken, moved, take
from shared.runtime.faults import Reached, nothing
from shared.runtime.garbage import Garbage
from shared.runtime.handover import HandOver
from shared.runtime.lag import Lag
from shared.runtime.messages import text_headers
from shared.runtime.ownership import Ownership
from shared.runtime.ports import (
    Archive,
    BrokenInvariant,
    Conflict,
    Cursor,
    Fenced,
    Handler,
    Input,
    Message,
    Place,
    Store,
    Transaction,
    Unavailable,
    UnknownCommit,
    Work,
)

BATCH_EVENTS_MAX = 2_000
"""Beyond it the cost per event rises again (DESIGN section 4, measured)."""
BATCH_BYTES_MAX = 4 * 1024 * 1024
POLL_SECONDS = 0.05
CONFLICT_TRIES = 3
UNAVAILABLE_SECONDS = 90.0
"""How long a batch waits for the database before the process gives up and is started anew."""
ACKNOWLEDGED_SECONDS = 120.0
"""How long an announcement may wait for a broker that is away before the process gives up and is
started anew; below the 300 s after which the group would drop us."""
STOP_SECONDS = 20.0
ENDING = frozenset({KafkaError._FATAL, KafkaError._AUTO_OFFSET_RESET})  # noqa: SLF001  # their names
"""A consumer that is broken for good says so once, without its flag `fatal`: a broker that comes
back can make a static member fence itself, and then it never hands over a message again."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Which service it is and what it reads: the first input is subscribed, the others are assigned
    with it, and the archive has what topics no longer hold. `topic` adds the namespace to a
    name."""

    service: str
    inputs: tuple[Input, ...]
    topic: Callable[[str], str]
    archive: Archive


class Projector:
    """Runs one handler over its inputs. See the module for what it promises."""

    def __init__(
        self,
        projection: Projection,
        handler: Handler,
        store: Store,
        consumer: Consumer,
        announcer: Announcer,
        log: structlog.stdlib.BoundLogger,
        reached: Reached = nothing,
    ) -> None:
        self._projection = projection
        self._service = projection.service
        self._handler = handler
        self._store = store
        self._consumer = consumer
        self._announcer = announcer
        self._log = log
        self._reached = reached
        self._names = {projection.topic(item.topic): item.topic for item in projection.inputs}
        self._backlog: list[Message] = []
        """What a poll handed over while the loop waited for the store."""
        self._stopping = False
        self._lag = Lag(projection.service, projection.inputs, consumer, projection.topic)
        self.turned_at = time.monotonic()
        self._hand_over = HandOver(projection.archive, log)
        self.owned = Ownership(
            projection.service,
            projection.inputs,
            store,
            projection.topic,
            log,
            handler.forget,
            self._hand_over,
        )

    def stop(self) -> None:
        """Asks the loop to end after the batch in hand; safe in a signal handler."""
        self._stopping = True

    def unready(self) -> str:
        """Why this worker cannot serve now; empty when it can."""
        if not self.owned.joined:
            return "not yet a member of its group"
        if self.owned.broken:
            return "; ".join(self.owned.broken.values())
        return ""

    def run(self) -> None:
        """Until `stop`. Raises what only a restart can mend; nothing is lost by it."""
        self.join()
        garbage = Garbage()
        while not self._stopping:
            garbage.turned(idle=not self.turn())
        self._announcer.wait(STOP_SECONDS)

    def join(self) -> None:
        """Joins the group; partitions are taken over in the turns that follow."""
        self._consumer.subscribe(
            [self._projection.topic(self._projection.inputs[0].topic)],
            on_assign=self.owned.on_assign,
            on_revoke=self.owned.on_revoke,
            on_lost=self.owned.on_lost,
        )

    def turn(self) -> bool:
        """One turn: poll, resend for what was just taken over, decide, commit, announce; then the
        same with what the archive has. Says whether there was anything."""
        back = self.owned.take_back(self._consumer)
        self._backlog = [item for item in self._backlog if item.partition not in back]
        messages = self._backlog or self._poll()
        self._backlog = []
        self.owned.check()
        self._resend()
        if messages:
            self._reached("after_poll")
        for batch in batches(messages):
            self._process(batch)
        if not messages and self._handler.due(self.owned.cursors):
            self._process([])
        archived = self._read_archive()
        self.turned_at = time.monotonic()
        self._lag.turned(self.owned.cursors)
        return bool(messages) or archived

    def _poll(self) -> list[Message]:
        # consume(n, t) waits the whole t unless n messages come: it would set the latency's floor.
        waits = 0 if self._hand_over.is_under_way() else POLL_SECONDS
        first = self._consumer.poll(waits)
        if first is None:
            return []
        rest = self._consumer.consume(BATCH_EVENTS_MAX - 1, 0)
        return [read for item in (first, *rest) if (read := self._read(item)) is not None]

    def _read(self, item: KafkaMessage) -> Message | None:
        error = item.error()
        if error is not None:
            self._on_error(error)
            return None
        topic, partition = self._names[item.topic() or ""], item.partition() or 0
        self._lag.read(topic, partition, item.timestamp()[1])
        return Message(
            topic=topic,
            partition=partition,
            offset=item.offset() or 0,
            key=_bytes(item.key()),
            value=_bytes(item.value()),
            headers=text_headers(item.headers()),
        )

    def _on_error(self, error: KafkaError) -> None:
        self.owned.check()  # what a callback met explains the error that follows from it
        # The client keeps trying by itself; only what it calls fatal, or a lost position, ends us.
        if error.fatal() or error.code() in ENDING:
            raise KafkaException(error)
        self._log.warning("consumer_error", error=str(error))

    def _resend(self) -> None:
        """Before anything new of a fresh partition is decided: announcements keep their order."""
        waiting_since = time.monotonic()
        while self.owned.fresh:
            partition = self.owned.fresh[0]
            try:
                count = self._announcer.announce(
                    self._handler.resend(self.owned.cursors[partition])
                )
            except Unavailable as error:
                self._wait_for_store(error, waiting_since)
                continue
            metrics.RESENT.labels(self._service).inc(count)
            self.owned.fresh.remove(partition)
            if count:
                self._log.info("resent", partition=partition, messages=count)

    def _read_archive(self) -> bool:
        """A chunk of what is past its retention, through the path of every batch."""
        waiting_since = time.monotonic()
        while self._hand_over.is_under_way():
            try:
                chunk = self._hand_over.next_chunk(self.owned.cursors)
            except Unavailable as error:
                self._wait_for_store(error, waiting_since)
                continue
            for batch in batches(chunk.messages):
                self._process(batch)
            if self._hand_over.end(chunk):
                self.owned.handed_over(self._consumer, chunk.topic, chunk.partition)
            return True
        return False

    def _process(self, messages: Sequence[Message]) -> None:
        """Until the batch is committed, or its partitions are no longer ours."""
        conflicts = 0
        waiting_since = time.monotonic()
        while True:
            try:
                return self._attempt(messages)
            except Fenced:
                self._redo("fenced")
            except Conflict as error:
                self._redo("conflict")
                conflicts += 1
                self._log.warning(
                    "conflict", attempt=conflicts, messages=len(messages), error=str(error)
                )
                if conflicts >= CONFLICT_TRIES:
                    return self._halve(messages, error)
                time.sleep(random.uniform(0, 0.02 * 2**conflicts))
            except Unavailable as error:
                self._redo("unavailable")
                self._wait_for_store(error, waiting_since)

    def _wait_for_store(self, error: Unavailable, waiting_since: float) -> None:
        if self._stopping or time.monotonic() - waiting_since > UNAVAILABLE_SECONDS:
            raise error
        self._log.warning("store_unavailable", error=str(error))
        self._idle(random.uniform(0.2, 1.0))

    def _halve(self, messages: Sequence[Message], error: Conflict) -> None:
        if len(messages) < 2:
            raise BrokenInvariant(
                f"one message alone conflicts {CONFLICT_TRIES} times: {error}"
            ) from error
        middle = len(messages) // 2
        self._process(messages[:middle])
        self._process(messages[middle:])

    def _redo(self, reason: str) -> None:
        metrics.REDONE.labels(self._service, reason).inc()
        self._handler.forget(list(self.owned.cursors))

    def _attempt(self, messages: Sequence[Message]) -> None:
        self._resend()  # a wait may have brought partitions whose announcements come first
        taken = take(messages, self.owned.cursors, self._projection.inputs)
        if messages and not taken.cursors:
            return
        metrics.DROPPED.labels(self._service).inc(taken.repeated)
        started = time.perf_counter()
        work = self._handler.decide(taken.messages, self.owned.cursors)
        self._reached("after_decide")
        metrics.DECIDE_SECONDS.labels(self._service).observe(time.perf_counter() - started)
        self._bury(taken, work)
        # All that came before is acknowledged from here on: the cursors may say so.
        self._announcer.wait(ACKNOWLEDGED_SECONDS)
        before = dict(self.owned.cursors)
        after = self._commit(taken, work, before)
        self._committed(taken, work, after)
        for broken in taken.broken:  # what came before the gap counts
            self.owned.stop_at_gap(self._consumer, broken.partition, str(broken))

    def _bury(self, taken: Taken, work: Work) -> None:
        letters = [*taken.dead, *work.dead]
        for letter in letters:
            metrics.DEAD.labels(self._service, letter.message.topic).inc()
            self._log.error(
                "dead_letter",
                topic=letter.message.topic,
                partition=letter.message.partition,
                offset=letter.message.offset,
                reason=letter.reason.partition(":")[0],  # what follows may quote the message
            )
        self._announcer.bury(letters, ACKNOWLEDGED_SECONDS)

    def _commit(self, taken: Taken, work: Work, before: Mapping[int, Cursor]) -> dict[int, Cursor]:
        after: dict[int, Cursor] = {}
        started = time.perf_counter()

        def body(transaction: Transaction) -> None:
            work.prepare(transaction)
            after.update(moved(taken.cursors, before, work))
            self._advance(transaction, before, after)
            self._reached("between_writes")
            work.write(transaction)
            self._reached("before_commit")

        try:
            self._store.transact(body)
        except Fenced:
            self._fence(before)
            raise
        except UnknownCommit as error:
            if not self._happened(after, before):
                raise Unavailable(f"not committed: {error}") from error
        self._reached("after_commit")
        metrics.COMMIT_SECONDS.labels(self._service).observe(time.perf_counter() - started)
        return after

    def _advance(
        self, transaction: Transaction, before: Mapping[int, Cursor], after: Mapping[int, Cursor]
    ) -> None:
        """Moves the cursors first: whoever is fenced learns it before it writes anything."""
        for partition, cursor in after.items():
            if not transaction.move(before[partition], cursor):
                raise Fenced

    def _fence(self, before: Mapping[int, Cursor]) -> None:
        now = self._store.places(list(before))
        lost = [p for p, cursor in before.items() if now.get(p) != _place(cursor)]
        if not lost:
            raise BrokenInvariant("a cursor did not move, though every epoch and batch is ours")
        self.owned.fence(self._consumer, lost)

    def _happened(self, after: Mapping[int, Cursor], before: Mapping[int, Cursor]) -> bool:
        """Whether a commit without an answer took place: then every cursor stands behind it."""
        now = self._places_at_last(list(after))
        if after and all(now.get(p) == _place(cursor) for p, cursor in after.items()):
            return True
        lost = [p for p in after if now.get(p) != _place(before[p])]
        self.owned.fence(self._consumer, lost)
        return False

    def _places_at_last(self, partitions: Sequence[int]) -> dict[int, Place]:
        deadline = time.monotonic() + UNAVAILABLE_SECONDS
        while True:
            try:
                return self._store.places(partitions)
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                self._idle(0.5)

    def _committed(self, taken: Taken, work: Work, after: Mapping[int, Cursor]) -> None:
        for partition, cursor in after.items():
            if partition in self.owned.cursors:  # it may have gone while the commit was in doubt
                self.owned.cursors[partition] = cursor
        work.committed()
        self._reached("before_produce")
        self._announcer.announce(work.outgoing())
        self._reached("after_produce")
        for topic, count in Counter(message.topic for message in taken.messages).items():
            metrics.MESSAGES.labels(self._service, topic).inc(count)
        metrics.BATCH_MESSAGES.labels(self._service).observe(len(taken.messages))

    def _idle(self, seconds: float) -> None:
        """Waits without leaving the group: polls with everything paused."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._consumer.pause(self._consumer.assignment())
            # A partition assigned by this very poll is not paused yet: what it hands over is kept.
            item = self._consumer.poll(left)
            if item is not None and (message := self._read(item)) is not None:
                self._backlog.append(message)
            self.turned_at = time.monotonic()
            self._lag.waiting(self.owned.cursors)
        self.owned.check()
        self.owned.resume(self._consumer)


def batches(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Cuts what was polled so that no batch holds more than `BATCH_BYTES_MAX` of values."""
    start, size = 0, 0
    for index, message in enumerate(messages):
        size += len(message.value)
        if size > BATCH_BYTES_MAX and index > start:
            yield messages[start:index]
            start, size = index, len(message.value)
    if start < len(messages):
        yield messages[start:]


def _place(cursor: Cursor) -> Place:
    return Place(cursor.epoch, cursor.batch)


def _bytes(value: bytes | str | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
