"""The second set: the collections of points under other names, and how they become the first."""

from pymongo import MongoClient
from pymongo.database import Database

from services.points.handler import SERVICE
from services.points.repository import CLOSED, LOTS, STATES
from shared.runtime import parking
from shared.runtime.deciding import DECISIONS
from shared.runtime.mongo import CODEC, MAJORITY
from shared.runtime.ports import Document
from shared.runtime.settings import Settings

SUFFIX = "_rebuilt"
SWITCHED = (CLOSED, LOTS, STATES, DECISIONS)
WORKED_ON = (parking.EVENTS, parking.CUSTOMERS, "cursors")
"""Kept only while it is built: what is parked live is what a rebuild follows, never replaces."""
RENAME_MS_MAX = 10_000
"""A rename waits for who reads at that moment; a batch holds a collection for 5 s at most."""


def database_of(settings: Settings, client: MongoClient[Document]) -> Database[Document]:
    """That of points, where both sets are."""
    return client.get_database(
        settings.database(SERVICE), codec_options=CODEC, write_concern=MAJORITY
    )


class SecondSet:
    """Made, dropped, or put into the place of the first."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def begin(self, *, anew: bool) -> bool:
        """Makes what is missing; whether there was a set to go on with. One of which a collection
        is gone was being switched when it was left, and is begun anew."""
        have = set(self._database.list_collection_names())
        wanted = [name + SUFFIX for name in (*SWITCHED, *WORKED_ON)]
        goes_on = not anew and have.issuperset(wanted)
        if not goes_on:
            self.drop()
            for name in wanted:  # all of them, since one that is not there cannot be renamed
                self._database.create_collection(name)
        return goes_on

    def drop(self) -> None:
        """Nothing is left of it; the cursors go first, so that no half of it is gone on with."""
        for name in reversed((*SWITCHED, *WORKED_ON)):
            self._database.drop_collection(name + SUFFIX)

    def switch(self) -> None:
        """Each collection takes the place of the live one, which is gone. One after the other, each
        at one moment: who reads in between finds the same in both sets, unless they differed."""
        for name in SWITCHED:
            self._rename(name)

    def _rename(self, name: str) -> None:
        source = f"{self._database.name}.{name}"
        self._database.client.admin.command(
            {
                "renameCollection": source + SUFFIX,
                "to": source,
                "dropTarget": True,
                "maxTimeMS": RENAME_MS_MAX,
                "writeConcern": MAJORITY.document,
            }
        )
