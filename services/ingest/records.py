"""What the gateway reads of others' records: a program's currency, stored events, decisions."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bson.binary import Binary
from bson.int64 import Int64
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from shared.contracts.decisions import number, place
from shared.contracts.identity import dedupe_key
from shared.contracts.program import Settings as ProgramSettings
from shared.runtime.settings import Settings

ORDINAL_LAST = 2**16 - 1
PLACES_MAX = 200
"""Ranges of one query; a batch of 1,000 repeats takes five."""

Document = dict[str, Any]
Place = tuple[int, int]
"""Partition and number of an event in the log."""


class StoredEvent(NamedTuple):
    """An event as the journal has it; `reply_to` tells whose submission came first."""

    place: Place
    content: str
    reply_to: str


class Records:
    """Reads only, from majorities: what an answer rests on cannot be rolled back."""

    def __init__(self, settings: Settings, client: AsyncMongoClient[Document]) -> None:
        self._settings = settings
        self._client = client
        self._events = client[settings.database("journal")]["events"]
        self._revisions = client[settings.database("program")]["revisions"]

    async def ping(self) -> None:
        """Raises `PyMongoError` where the database does not answer."""
        await self._client.admin.command("ping")

    async def currency(self, tenant: str) -> str:
        """Of the program's settings as they are now; the default where nobody wrote any."""
        latest = await self._revisions.find_one(
            {"tenant": tenant, "kind": "settings", "id": "settings"},
            {"document.currency": 1},
            sort=[("version", -1)],
        )
        document = ProgramSettings.model_fields["currency"].default
        return str(latest["document"].get("currency", document) if latest else document)

    async def stored(self, tenant: str, ids: Sequence[str]) -> dict[str, StoredEvent]:
        """The events of `tenant` that the journal has taken, by id."""
        keys = [Binary(dedupe_key(tenant, event_id)) for event_id in ids]
        wanted = {"id": 1, "partition": 1, "seq": 1, "content": 1, "reply_to": 1}
        return {
            event["id"]: StoredEvent(
                (event["partition"], event["seq"]), event["content"], event.get("reply_to", "")
            )
            async for event in self._events.find({"_id": {"$in": keys}}, wanted)
        }

    async def decided(
        self, owner: str, events: Mapping[Place, str]
    ) -> dict[Place, Mapping[str, Any]]:
        """The decisions of `owner` on events, by place; one not yet decided is left out. Of an
        event that waits parked its record, which is an outcome too.

        `events`: the id at each place, since a sweep may number its decisions there too.
        """
        database = self._client[self._settings.database(owner)]
        found = await self._at_their_places(database["decisions"], events)
        if missing := [place for place in events if place not in found]:
            found |= await self._parked(database, missing)
        return found

    async def _at_their_places(
        self, decisions: AsyncCollection[Document], events: Mapping[Place, str]
    ) -> dict[Place, Mapping[str, Any]]:
        found: dict[Place, Mapping[str, Any]] = {}
        places = list(events)
        for start in range(0, len(places), PLACES_MAX):
            ranges = [
                {
                    "_id": {"$gte": number(*at), "$lte": number(*at, ORDINAL_LAST)},
                    "event": events[at],
                }
                for at in places[start : start + PLACES_MAX]
            ]
            async for decision in decisions.find({"$or": ranges}).sort("_id", 1):
                if decision["outcome"] != "followed":
                    found.setdefault(place(decision["_id"]), _plain(decision))
        return found

    async def _parked(
        self, database: AsyncDatabase[Document], places: Sequence[Place]
    ) -> dict[Place, Mapping[str, Any]]:
        """What waits, and what was decided later, at another place: its record says where."""
        numbers = [number(*place) for place in places]
        records = await database["parked"].find({"_id": {"$in": numbers}}).to_list()
        later = {each["decision"]: place(each["_id"]) for each in records if "decision" in each}
        found: dict[Place, Mapping[str, Any]] = {
            place(each["_id"]): _plain(each) for each in records if "decision" not in each
        }
        async for decision in database["decisions"].find({"_id": {"$in": list(later)}}):
            found[later[decision["_id"]]] = _plain(decision)
        return found


def _plain(value: Any) -> Any:
    """BSON's 64-bit integers are a class of their own, which the JSON writer does not know."""
    if isinstance(value, Int64):
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
