"""Building: the second set, decided from the archive by the handler that decides the first."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from pymongo import MongoClient

from services.points.app import build_on
from services.points.handler import SERVICE
from services.points.rebuilding.recorded import RecordedParking, Records
from services.points.rebuilding.second import SUFFIX, database_of
from services.points.repository import PointsRepository
from shared.contracts.topics import LOG
from shared.runtime.archive import CHUNK_MESSAGES, Archive
from shared.runtime.chains import moved, take
from shared.runtime.messages import LOG_INPUT
from shared.runtime.mongo import MongoStore
from shared.runtime.ports import (
    Conflict,
    Cursor,
    Document,
    Fenced,
    Message,
    Place,
    Transaction,
    Unavailable,
    UnknownCommit,
)
from shared.runtime.programs import Programs
from shared.runtime.projector import CONFLICT_TRIES, batches
from shared.runtime.settings import Settings

UNAVAILABLE_SECONDS = 60.0
"""How long a batch waits for the database before the rebuild is left; the next one goes on."""


class RebuildError(Exception):
    """What an operator can mend, as a sentence."""


Built = Callable[[int, Iterable[str]], None]
"""Is told after each batch how many messages of the log it took, and which customers."""


def _nobody(_messages: int, _customers: Iterable[str]) -> None:
    """Nobody is told."""


class Building:
    """The second set with its own positions: what was left is gone on with."""

    def __init__(
        self, settings: Settings, client: MongoClient[Document], built: Built = _nobody
    ) -> None:
        database = database_of(settings, client)
        self.built = built
        self._archive = Archive(client, settings)
        self.parking = RecordedParking(SERVICE, database, SUFFIX)
        programs = Programs(client.get_database(settings.database("program")))
        self._handler = build_on(PointsRepository(database, SUFFIX), self.parking, programs)
        self._store = MongoStore(client, settings, SERVICE, [LOG.name], SUFFIX)
        self.cursors: dict[int, Cursor] = {}

    def close(self) -> None:
        """Ends the session; the client is the caller's."""
        self._store.close()

    def open(self, partitions: Iterable[int]) -> None:
        """Takes these of the second set over; another rebuild that builds it is fenced. Raises
        `RebuildError` where the archive does not begin with the log."""
        for partition in partitions:
            if partition not in self.cursors:
                self._check_archive(partition)
                self.cursors[partition] = self._store.take_over(partition)

    def seen(self, partition: int) -> int:
        """The log position up to which the partition is built."""
        return self.cursors[partition].seen.get(LOG.name, 0)

    def advance(self, partition: int, target: int, records: Records) -> None:
        """Builds a partition up to and with the position `target`, and what was unparked there."""
        self.parking.follow(records)
        for chunk in self._chunks(partition, target):
            for messages in batches(chunk):
                self._take(partition, messages)
        self._unpark(partition)

    def _check_archive(self, partition: int) -> None:
        first = self._archive.after(LOG.name, partition, 0, 1)
        if not first or first[0].headers["seq"] != "1":
            begins = f"begins at {first[0].headers['seq']}" if first else "is empty"
            raise RebuildError(
                f"the journal's archive of partition {partition} {begins}, not at 1: what came "
                "before cannot be decided again."
            )

    def _take(self, partition: int, messages: Sequence[Message]) -> None:
        while messages:
            self._unpark(partition)
            together = self.parking.together(messages)
            self._decide(partition, together)
            messages = messages[len(together) :]

    def _unpark(self, partition: int) -> None:
        while self.parking.unparks(self.cursors[partition]):
            if not self._decide(partition, ()):
                raise RebuildError(f"partition {partition}: what is unparked finds no number")

    def _chunks(self, partition: int, target: int) -> Iterator[Sequence[Message]]:
        """The next one is read while one is decided."""

        def read(behind: int) -> Sequence[Message]:
            return self._archive.after(
                LOG.name, partition, behind, min(CHUNK_MESSAGES, target - behind)
            )

        behind = self.seen(partition)
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(read, behind) if behind < target else None
            while ahead is not None:
                chunk = ahead.result()
                if not chunk:
                    raise RebuildError(
                        f"the journal's archive of partition {partition} ends at {behind}, but "
                        f"points has decided up to {target}: see `laurel recover journal`."
                    )
                behind = int(chunk[-1].headers["seq"])
                ahead = reader.submit(read, behind) if behind < target else None
                yield chunk

    def _decide(self, partition: int, messages: Sequence[Message]) -> bool:
        """One batch, one transaction; whether it changed anything."""
        conflicts, waiting_since = 0, time.monotonic()
        while True:
            try:
                return self._attempt(partition, messages)
            except Fenced as error:
                raise RebuildError("another rebuild has begun; this one ends.") from error
            except Conflict:
                conflicts += 1
                if conflicts == CONFLICT_TRIES:
                    raise
            except Unavailable:
                if time.monotonic() - waiting_since > UNAVAILABLE_SECONDS:
                    raise
            self._handler.forget([partition])
            time.sleep(random.uniform(0.05, 0.5))

    def _attempt(self, partition: int, messages: Sequence[Message]) -> bool:
        before = {partition: self.cursors[partition]}
        taken = take(messages, before, (LOG_INPUT,))
        for broken in taken.broken:
            raise RebuildError(str(broken)) from broken
        work = self._handler.decide(taken.messages, before)
        after = moved(taken.cursors, before, work)

        def body(transaction: Transaction) -> None:
            for at, cursor in after.items():
                if not transaction.move(before[at], cursor):
                    raise Fenced
            work.write(transaction)

        try:
            self._store.transact(body)
        except UnknownCommit as error:
            if not self._happened(after):
                raise Unavailable(f"not committed: {error}") from error
        self.cursors.update(after)
        work.committed()
        self.built(len(messages), work.customers)
        return bool(after)

    def _happened(self, after: Mapping[int, Cursor]) -> bool:
        now = self._store.places(list(after))
        return all(now.get(at) == Place(each.epoch, each.batch) for at, each in after.items())
