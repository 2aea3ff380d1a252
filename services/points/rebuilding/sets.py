"""Both sets, read: the documents of the live one, as of one moment where that counts, and ours."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, cast

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.cursor import Cursor
from pymongo.database import Database

from services.points.rebuilding.comparing import Difference, Raw, differences, ordered
from services.points.rebuilding.recorded import Records, read_records
from services.points.rebuilding.second import SUFFIX
from services.points.repository import CLOSED, LOTS, STATES
from shared.contracts.decisions import number
from shared.contracts.topics import LOG
from shared.runtime import parking
from shared.runtime.deciding import DECISIONS
from shared.runtime.mongo import field_name
from shared.runtime.ports import Document

LOG_FIELD = field_name(LOG.name)
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
OF_CUSTOMERS = {STATES: "", LOTS: "/", CLOSED: "\x1f"}
"""What follows `tenant/customer` in an `_id`: nothing, or this."""
CUSTOMERS_ASKED_MAX = 100
RECORDED = {"tenant": 1, "customer": 1, "event": 1, "action": 1, "at": 1, "decision": 1}
CHUNK_DOCUMENTS = 5_000
TOLD_DOCUMENTS = 1_000


class Position(NamedTuple):
    """Of live traffic in one partition: the log up to `seen`, decided up to number `last`."""

    seen: int
    last: int


class Sets:
    """The live collections and those beside them. `read` is told how many more live documents were
    compared; `session`: a snapshot, for the live ones."""

    def __init__(
        self,
        database: Database[Document],
        read: Callable[[int], None],
        session: ClientSession | None = None,
    ) -> None:
        self.database = database
        self._read = read
        self._session = session

    def positions(self) -> dict[int, Position]:
        """Where live traffic is, by partition; those where nothing was decided yet are left out."""
        found = self.database["cursors"].find(session=self._session)
        positions = {
            cursor["_id"]: Position(cursor.get("seen", {}).get(LOG_FIELD, 0), cursor.get("last", 0))
            for cursor in found
        }
        return {partition: at for partition, at in sorted(positions.items()) if at.seen}

    def documents(self) -> dict[str, int]:
        """How many of each the second set has."""
        names = (DECISIONS, *OF_CUSTOMERS)
        return {name: self.database[name + SUFFIX].estimated_document_count() for name in names}

    def records(self, partition: int) -> Records:
        """What live traffic parked there, ever."""
        wanted = {"_id": _within(partition)}
        found = self.database[parking.EVENTS].find(wanted, RECORDED, session=self._session)
        return read_records(found)

    def decisions(self, partition: int, behind: int, below: int) -> Iterator[Difference]:
        """Differences of a partition's decisions from log position `behind` to before `below`."""
        wanted = {"_id": {"$gte": number(partition, behind), "$lt": number(partition, below)}}
        return self._differences(DECISIONS, wanted)

    def parked(self, partition: int) -> Iterator[Difference]:
        """Differences of what waits, and of what was unparked. Where a message lies in the topic is
        left out: the archive does not know."""
        wanted = {"_id": _within(partition)}
        return self._differences(parking.EVENTS, wanted, {"offset": 0})

    def states(self) -> Iterator[Difference]:
        """Differences of all states, lots and closed lots."""
        for name in OF_CUSTOMERS:
            yield from self._differences(name, {})

    def states_of(self, customers: Iterable[str]) -> Iterator[Difference]:
        """The same of these customers alone."""
        left = iter(customers)
        while keys := list(islice(left, CUSTOMERS_ASKED_MAX)):
            for name, separator in OF_CUSTOMERS.items():
                wanted = _of_customers(keys, separator)
                yield from differences(
                    name,
                    ordered(self._live(name, wanted)),
                    ordered(self._rebuilt(name, wanted)),
                )

    def last_decision(self, partition: int) -> int:
        """The number of the greatest that is stored live; 0: none."""
        wanted = {"_id": _within(partition)}
        found = self.database[DECISIONS].find_one(
            wanted, {"_id": 1}, sort=[("_id", -1)], session=self._session
        )
        return int(found["_id"]) if found else 0

    def _differences(
        self, name: str, wanted: Document, fields: Document | None = None
    ) -> Iterator[Difference]:
        live, rebuilt = self._live(name, wanted, fields), self._rebuilt(name, wanted, fields)
        return differences(name, live, rebuilt)

    def _live(self, name: str, wanted: Document, fields: Document | None = None) -> Raw:
        for count, document in enumerate(self._find(name, self._session, wanted, fields), start=1):
            yield document
            if count % TOLD_DOCUMENTS == 0:
                self._read(TOLD_DOCUMENTS)

    def _rebuilt(self, name: str, wanted: Document, fields: Document | None = None) -> Raw:
        return iter(self._find(name + SUFFIX, None, wanted, fields))

    def _find(
        self, name: str, session: ClientSession | None, wanted: Document, fields: Document | None
    ) -> Cursor[RawBSONDocument]:
        raw = cast(
            "Collection[RawBSONDocument]", self.database.get_collection(name, codec_options=RAW)
        )
        found = raw.find(wanted, fields, session=session, batch_size=CHUNK_DOCUMENTS)
        return found.sort("_id", 1)


def _within(partition: int) -> Document:
    return {"$gte": number(partition, 0), "$lt": number(partition + 1, 0)}


def _of_customers(keys: Sequence[str], separator: str) -> Document:
    """`_id`s of these customers; those of longer ids may be among them: an id may hold slashes."""
    if not separator:
        return {"_id": {"$in": list(keys)}}
    behind = chr(ord(separator) + 1)
    return {"$or": [{"_id": {"$gte": key + separator, "$lt": key + behind}} for key in keys]}
