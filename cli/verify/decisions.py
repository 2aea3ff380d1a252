"""Decisions beside the journal: each event of the owner decided once, chained, stamped alike."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pymongo.database import Database

from cli.verify.announced import of_decision
from cli.verify.documents import UNREADABLE, customer_of, unlike
from cli.verify.findings import Findings
from cli.verify.parked import Parked
from cli.verify.snapshot import Part
from cli.verify.topic import Topic
from shared.contracts.actions import owned_by
from shared.contracts.decisions import ORDINAL_BITS, number, place, position
from shared.contracts.problems import KINDS
from shared.runtime.ports import Document

CHUNK_DECISIONS = 2_000
ORDINALS = 1 << ORDINAL_BITS
"""Numbers of one place of the log."""
EVERY = 1 << 63
"""Beyond all numbers."""
STAMPS = ("tenant", "customer", "action", "at", "time", "program")
OUTCOMES = {True: ("accepted", "refused"), False: ("followed",)}
"""Of an action that the service owns, and of another's."""

Fold = Callable[[Document], None]
"""Takes the decisions over, in order."""


def stored_decisions(database: Database[Document], part: Part, service: str) -> Iterator[Document]:
    """Those of a partition up to its cursor, in order."""
    bounds = {"$gte": number(part.partition, 0), "$lte": part.cursor(service)["last"]}
    found = database["decisions"].find({"_id": bounds}, batch_size=CHUNK_DECISIONS)
    yield from found.sort("_id", 1)


@dataclass(slots=True)
class Owner:
    """The decisions of one service in one partition, walked beside the events of the log."""

    service: str
    stored: Iterator[Document]
    part: Part
    parked: Parked
    topic: Topic
    fold: Fold
    found: Findings
    here: Document | None = None
    """The decision of the present event at its own place."""
    waits: bool = False
    """Whether the present event waits parked, or did."""
    seen: int = field(init=False)
    _owned: frozenset[str] = field(init=False)
    _mark: int = field(init=False)
    _last: int = 0
    _mark_met: bool = False
    _overtaken: set[str] = field(default_factory=set)
    _next: Document | None = field(init=False)

    def __post_init__(self) -> None:
        self._owned = owned_by(self.service)
        cursor = self.part.cursor(self.service)
        self.seen = cursor["seen"].get("events_log", 0)
        self._mark = cursor["announced"]
        self._next = next(self.stored, None)

    def take(self, event: Document) -> None:
        """The next event of the log, and what was decided at its place."""
        seq = event["seq"]
        at = number(self.part.partition, seq)
        self._without_event(at)
        self.here, self.waits = None, self.parked.meet(event, at)
        for decision in self._before(at + ORDINALS):
            origin = self.parked.decided(decision)
            if origin is None:
                if not self._is_own(decision, event):
                    continue
                self.here, origin = decision, event
            self._check(decision, origin)
        undecided = self.here is None and not self.waits and seq <= self.seen
        if undecided and event["action"] in self._owned:
            sentence = f"event {event['id']!r} ({event['action']}) was never decided"
            self._differ(customer_of(event), at, sentence)

    def finish(self) -> None:
        """After the last event of the log."""
        self._without_event(EVERY)
        self.parked.finish()
        self.topic.finish()
        cursor = self.part.cursor(self.service)
        where, partition = f"{self.service}.cursors", self.part.partition
        if cursor["last"] != self._last:
            sentence = f"last is {cursor['last']}, but the last decision is {self._last}"
            self.found.differ(where, "", partition, sentence)
        if self._mark and not self._mark_met:
            sentence = f"announced is {self._mark}, which is no decision's number"
            self.found.differ(where, "", partition, sentence)

    def _before(self, end: int) -> Iterator[Document]:
        """The decisions whose number is below this one."""
        while self._next is not None and self._next["_id"] < end:
            decision, self._next = self._next, next(self.stored, None)
            self.found.checked[self._where] += 1
            yield decision

    def _without_event(self, end: int) -> None:
        for decision in self._before(end):
            if self.parked.decided(decision) is None:
                where = position(*place(decision["_id"]))
                sentence = f"stands at {where}, where no event is stored"
                self._differ(customer_of(decision), decision["_id"], sentence)
            self._check(decision, None)

    def _is_own(self, decision: Document, event: Document) -> bool:
        """Whether it decides the event of its place; where it does twice, only once."""
        id_, key = decision["_id"], customer_of(decision)
        where = position(*place(id_))
        if (decision["tenant"], decision["event"]) != (event["tenant"], event["id"]):
            sentence = f"stands at {where}, the place of event {event['id']!r}, but decides another"
            self._differ(key, id_, f"{sentence}, {decision['event']!r}")
            return False
        if self.here is not None:
            sentence = f"decides event {event['id']!r} again: {self.here['_id']} did"
            self._differ(key, id_, sentence)
            return False
        if id_ != number(self.part.partition, event["seq"]):
            self._differ(key, id_, f"is not the first at {where}, though it decides its event")
        if self.waits:
            self._differ(key, id_, "decides an event that waits parked")
        elif self.parked.waits[key] and key not in self._overtaken:
            self._overtaken.add(key)  # all that follow would say the same
            self._differ(key, id_, "was decided while an earlier event of its customer waits")
        return True

    def _check(self, decision: Document, event: Document | None) -> None:
        """All of one decision; `event`: what it decides, where that is stored."""
        id_, key = decision["_id"], customer_of(decision)
        self._mark_met |= id_ == self._mark
        if decision.get("previous") != self._last:
            sentence = f"previous is {decision.get('previous')}, but {self._last} is before it"
            self._differ(key, id_, sentence)
        self._last = id_
        try:
            for sentence in self._wrong(decision, event):
                self._differ(key, id_, sentence)
            self.fold(decision)
        except UNREADABLE as error:
            self._differ(key, id_, f"is not of a decision's shape ({error!r})")

    def _wrong(self, decision: Document, event: Document | None) -> Iterator[str]:
        outcome, code = decision["outcome"], decision.get("code")
        if event is not None:
            if stamps := unlike(decision, _stamps(event)):
                yield f"{stamps}, as its event is stamped"
            outcomes = OUTCOMES[event["action"] in self._owned]
            if outcome not in outcomes:
                yield f"outcome is {outcome!r}, but of this action {' or '.join(outcomes)}"
        if (code not in KINDS) if outcome == "refused" else (code is not None):
            yield f"is {outcome}, with code {code!r}"
        message = self.topic.take(decision["_id"], customer_of(decision))
        if message is not None:
            yield from of_decision(message, decision, self.service, self.part.lineage)

    @property
    def _where(self) -> str:
        return f"{self.service}.decisions"

    def _differ(self, customer: str, id_: object, sentence: str) -> None:
        self.found.differ(self._where, customer, id_, sentence)


def _stamps(event: Document) -> Document:
    return {"event": event["id"], **{name: event[name] for name in STAMPS}}
