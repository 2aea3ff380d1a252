"""Rebuild: builds the second set beside live traffic, compares it with the first, switches."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from services.points.handler import SERVICE
from services.points.rebuilding.building import Building, RebuildError
from services.points.rebuilding.comparing import Difference
from services.points.rebuilding.second import SecondSet, database_of
from services.points.rebuilding.sets import Position, Sets
from shared.contracts.decisions import SEQ_BITS
from shared.contracts.topics import LOG
from shared.runtime.mongo import LENT_SECONDS, MongoStore
from shared.runtime.ownership import LENT_TO
from shared.runtime.ports import Cursor, Document, Place, Transaction, Unavailable
from shared.runtime.settings import Settings

NEAR_EVENTS = 1_000
"""So far behind live traffic the rest is decided and compared in a pause: a second or less."""
ROUNDS_MAX = 20
"""Each is shorter than the one before, unless live traffic is as fast as a rebuild."""
FAR_EVENTS = 20_000
"""So many would make the pause too long."""
TRIES = 3
SWITCH_SECONDS_MAX = 30.0
"""The switch begins in this time or not at all: with four renames of 10 s it stays well below what
the partitions are lent for (`LENT_SECONDS`)."""
SNAPSHOT_GONE = frozenset({239, 246})
"""SnapshotTooOld, SnapshotUnavailable: another snapshot is taken."""
END = 1 << SEQ_BITS


class Told(NamedTuple):
    """Who is told how far it is: `stage` names what begins and how much of it there is, `more` says
    how much more of it is done."""

    stage: Callable[[str, int], None]
    more: Callable[[int], None]


@dataclass(slots=True)
class Rebuilt:
    """What came of it. `refused` says why it was not switched, though that was asked for;
    `paused_seconds`: how long nothing was decided."""

    events: int = 0
    building_seconds: float = 0.0
    went_on: bool = False
    documents: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    raised: list[Document] = field(default_factory=list)
    paused_seconds: float = 0.0
    switched: bool = False
    refused: str = ""


class Wanted(NamedTuple):
    """`anew`: not going on with a set that was left; `switches`: otherwise it is dropped once it
    is compared; `accepts`: switches in spite of differences."""

    anew: bool = False
    switches: bool = True
    accepts: bool = False


class _TooLate(Exception):
    """The switch did not begin in time; what was borrowed is given back."""


def rebuild(
    settings: Settings, client: MongoClient[Document], told: Told, wanted: Wanted
) -> Rebuilt:
    """Builds, compares, and switches if that is wanted and nothing speaks against it.

    Raises `RebuildError`, `Unavailable`, PyMongo's errors; then the first set is as it was, and
    what is built of the second is there for the next run.
    """
    of_ours = settings.model_copy(update={"worker": f"{LENT_TO}-{SERVICE}"})
    database = database_of(settings, client)
    with ExitStack() as stack:
        live = MongoStore(client, of_ours, SERVICE, [LOG.name])
        stack.callback(live.close)
        partitions = range(settings.partitions)
        if any(holder.startswith(LENT_TO) for holder in live.holders(partitions).values()):
            raise RebuildError(
                "another rebuild is switching. One that was killed there lets go after "
                f"{LENT_SECONDS:.0f} seconds: try again then."
            )
        if not Sets(database, told.more).positions():
            return Rebuilt()
        second = SecondSet(database)
        went_on = second.begin(anew=wanted.anew)
        building = Building(of_ours, client)
        stack.callback(building.close)
        run = _Run(client, live, second, building, Sets(database, told.more), told, partitions)
        run.rebuilt.went_on = went_on
        return run.to_the_end(wanted)


@dataclass(slots=True)
class _Run:
    """`touched`: customers of whom something was decided since the last comparison; `compared`: by
    partition the position below which decisions are."""

    client: MongoClient[Document]
    live: MongoStore
    second: SecondSet
    building: Building
    sets: Sets
    told: Told
    partitions: range
    rebuilt: Rebuilt = field(default_factory=Rebuilt)
    touched: set[str] = field(default_factory=set)
    compared: dict[int, int] = field(default_factory=dict)
    differences: dict[tuple[str, str], Difference] = field(default_factory=dict)

    def to_the_end(self, wanted: Wanted) -> Rebuilt:
        self.building.built = self._built
        for _ in range(TRIES):
            self._approach()
            with suppress(_TooLate):
                self._finish(wanted)
                return self.rebuilt
            self.compared.clear()
            self.differences.clear()
        raise RebuildError(
            f"the last events could not be decided and compared within {SWITCH_SECONDS_MAX:.0f} s, "
            f"{TRIES} times: try again when there is less traffic. Nothing is switched."
        )

    def _built(self, messages: int, customers: Iterable[str]) -> None:
        self.touched.update(customers)
        self.rebuilt.events += messages
        self.told.more(messages)

    def _approach(self) -> None:
        """Builds and compares until live traffic is near. Each round takes what came during the
        one before; for what came during the last one the pause has to be long enough."""
        for number in range(ROUNDS_MAX):
            self._catch_up(self.sets, "catching up" if number else "deciding again")
            self._compare(everything=not number)
            if self._behind() <= NEAR_EVENTS:
                break
        if (behind := self._behind()) > FAR_EVENTS:
            raise RebuildError(
                f"live traffic is as fast as the rebuild: {behind:,} events are left after "
                f"{ROUNDS_MAX} rounds. Run it again when there is less; it goes on where it was."
            )

    def _behind(self) -> int:
        positions = self.sets.positions()
        return sum(at.seen - self._seen(partition) for partition, at in positions.items())

    def _seen(self, partition: int) -> int:
        return self.building.seen(partition)

    def _catch_up(self, sets: Sets, stage: str) -> dict[int, Position]:
        """Up to where live traffic is; the record of what it parked is read after that."""
        positions = sets.positions()
        self.building.open(positions)
        for partition, at in positions.items():
            if at.seen < self._seen(partition):
                raise RebuildError(
                    f"the second set has decided partition {partition} up to "
                    f"{self._seen(partition)}, live traffic up to {at.seen} only: the database was "
                    "restored meanwhile; begin anew with --restart."
                )
        left = sum(at.seen - self._seen(partition) for partition, at in positions.items())
        self.told.stage(stage, left)
        began = time.monotonic()
        for partition, at in positions.items():
            self.building.advance(partition, at.seen, sets.records(partition))
        self.rebuilt.building_seconds += time.monotonic() - began
        return positions

    def _compare(self, *, everything: bool) -> None:
        """What cannot change any more: decisions below the position, and customers of whom nothing
        comes after it. Those of whom something comes are compared again then."""
        touched, self.touched = self.touched, set()
        documents = self.sets.documents()
        self.told.stage("comparing", sum(documents.values()) if everything else len(touched))
        for partition in self.building.cursors:
            self._compare_decisions(self.sets, partition, self._seen(partition))
        self._compare_states(self.sets, None if everything else touched)

    def _compare_decisions(self, sets: Sets, partition: int, below: int) -> None:
        behind = self.compared.get(partition, 0)
        self._note(sets.decisions(partition, behind, below))
        # At the position itself something may still be unparked.
        self.compared[partition] = self._seen(partition)

    def _compare_states(self, sets: Sets, customers: set[str] | None) -> None:
        if customers is None:
            self._note(sets.states())
            return
        again = [key for key, each in self.differences.items() if each.customer in customers]
        for key in again:
            if key[0] != "decisions":
                del self.differences[key]
        self._note(sets.states_of(customers))

    def _note(self, found: Iterator[Difference]) -> None:
        self.differences.update(((each.collection, each.id), each) for each in found)

    def _finish(self, wanted: Wanted) -> None:
        """The last events, at equal positions: as of a snapshot, and where it is to be switched
        with nobody deciding meanwhile."""
        rebuilt = self.rebuilt
        borrowed: dict[int, Cursor] = {}
        with self._borrowing(borrowed, wanted) as began, self._snapshot() as sets:
            positions = self._catch_up(sets, "the last events")
            self._compare_last(sets, positions)
            rebuilt.documents = sets.documents()
            rebuilt.differences = sorted(self.differences.values())
            rebuilt.raised = [
                customer
                for partition in self.building.cursors
                for customer in self.building.parking.raised(partition)
            ]
            rebuilt.refused = self._against(sets, positions, accepts=wanted.accepts)
            if wanted.switches and not rebuilt.refused:
                self._switch(borrowed, began)
                rebuilt.switched = True
        if rebuilt.switched or rebuilt.raised or not wanted.switches:
            self.second.drop()

    @contextmanager
    def _borrowing(self, borrowed: dict[int, Cursor], wanted: Wanted) -> Iterator[float]:
        """Nobody else decides meanwhile; the workers go on by themselves."""
        began = time.monotonic()
        if not wanted.switches:
            yield began
            return
        try:
            for partition in self.partitions:
                borrowed[partition] = self.live.borrow(partition)
            yield began
        finally:
            self.live.give_back(self.partitions)
            self.rebuilt.paused_seconds += time.monotonic() - began

    @contextmanager
    def _snapshot(self) -> Iterator[Sets]:
        try:
            with self.client.start_session(causal_consistency=False, snapshot=True) as session:
                yield Sets(self.sets.database, self.told.more, session)
        except OperationFailure as error:
            if error.code in SNAPSHOT_GONE:
                raise _TooLate from error
            raise

    def _compare_last(self, sets: Sets, positions: dict[int, Position]) -> None:
        touched, self.touched = self.touched, set()
        self._compare_states(sets, touched)
        for partition, at in positions.items():
            self._compare_decisions(sets, partition, END)
            self._note(sets.parked(partition))
            last = self.building.cursors[partition].last
            if last != at.last:
                what = f"last is {at.last}, decided again {last}"
                self._note(iter([Difference("cursors", str(partition), "nobody", what)]))

    def _against(self, sets: Sets, positions: dict[int, Position], *, accepts: bool) -> str:
        """Why it may not be switched; empty: it may."""
        if self.rebuilt.raised:
            return (
                "a rule raises on what it had decided, so the second set is dropped: mend the rule "
                "and rebuild again"
            )
        if self.differences and not accepts:
            return "there are differences"
        for partition, at in positions.items():
            last = self.building.cursors[partition].last
            if last not in (at.last, sets.last_decision(partition)):
                return (
                    f"partition {partition} ends with decision {last}, but the last one announced "
                    f"was {at.last}: readers of the facts would miss one"
                )
        return ""

    def _switch(self, borrowed: dict[int, Cursor], began: float) -> None:
        if time.monotonic() - began > SWITCH_SECONDS_MAX:
            raise _TooLate
        self.told.stage("switching", 0)
        self._mend_last(borrowed)
        places = self.live.places(self.partitions)
        if any(places[at] != Place(each.epoch, each.batch) for at, each in borrowed.items()):
            raise Unavailable("a worker took a partition over that was lent; nothing is switched")
        self.second.switch()

    def _mend_last(self, borrowed: dict[int, Cursor]) -> None:
        """Where a position does not say which decision was the last."""
        wrong = {
            partition: replace(cursor, last=built.last, batch=cursor.batch + 1)
            for partition, built in self.building.cursors.items()
            if built.last != (cursor := borrowed[partition]).last
        }
        if not wrong:
            return

        def move(transaction: Transaction) -> None:
            for partition, after in wrong.items():
                transaction.move(borrowed[partition], after)

        self.live.transact(move)
        borrowed.update(wrong)
