"""The archive: what topics carried, read back from MongoDB as the very same messages.

Topics keep 14 days, the database keeps everything: `events.log` is in the journal's batches and
events, `<service>.facts` in that service's decisions (DESIGN section 2).
"""

from collections.abc import Iterable, Iterator

from pymongo import MongoClient
from pymongo.database import Database

from shared.contracts.batches import batch_id, first_seq_of
from shared.contracts.decisions import number as decision_number
from shared.contracts.topics import LOG
from shared.runtime.deciding import DECISIONS, announcements
from shared.runtime.log import log_message
from shared.runtime.messages import text_headers
from shared.runtime.mongo import CODEC, store_errors
from shared.runtime.ports import ARCHIVED, Document, Message, Outgoing
from shared.runtime.settings import Settings

CHUNK_MESSAGES = 2_000
"""As many as a batch of the projector holds."""
BATCHES_READ_FIRST = 4
"""Batches hold 1 to 2,000 events: their lists of keys are read in growing portions."""


class Archive:
    """Reads every numbered topic of a namespace (see `ports.Archive`), from majorities only."""

    def __init__(self, client: MongoClient[Document], settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._lineage = ""

    def after(self, topic: str, partition: int, number: int, limit: int) -> list[Message]:
        """At most `limit` messages behind `number`, in order; none: there are no more yet.

        Their offset is `ARCHIVED`. Of facts only what was decided can be read, which may be more
        than was announced so far. Raises `Unavailable`.
        """
        with store_errors():
            if topic == LOG.name:
                announced: Iterable[Outgoing] = (
                    log_message(event, self._log_name())
                    for event in self._events(partition, number, limit)
                )
            else:
                service = topic.removesuffix(".facts")
                decisions = self._decisions(service, partition, number, limit)
                # Outcomes go to whoever waited then; only the facts are for ever.
                announced = (
                    message
                    for message in announcements(decisions, service, self._log_name())
                    if message.topic == topic
                )
            return [_as_read(message, partition) for message in announced]

    def chunks(self, topic: str, partition: int, number: int = 0) -> Iterator[list[Message]]:
        """Everything behind `number`, up to what there is by the time it is read."""
        while found := self.after(topic, partition, number, CHUNK_MESSAGES):
            yield found
            number = int(found[-1].headers["seq" if topic == LOG.name else "decision"])

    def _log_name(self) -> str:
        if not self._lineage:
            named = self._database("journal")["log"].find_one({"_id": "log"})
            self._lineage = named["lineage"] if named else ""
        return self._lineage

    def _events(self, partition: int, number: int, limit: int) -> list[Document]:
        """Events are found by key alone; the batches name the keys in order."""
        keys = self._keys(partition, number, limit)
        found = self._database("journal")["events"].find({"_id": {"$in": keys}})
        return sorted(found, key=lambda event: int(event["seq"]))

    def _keys(self, partition: int, number: int, limit: int) -> list[bytes]:
        keys: list[bytes] = []
        portion = BATCHES_READ_FIRST
        start = self._batch_of(partition, number + 1)
        while len(keys) < limit:
            wanted = {"$gte": start, "$lt": batch_id(partition + 1, 0)}
            batches = list(
                self._database("journal")["batches"]
                .find({"_id": wanted}, {"keys": 1})
                .sort("_id", 1)
                .limit(portion)
            )
            for batch in batches:
                known = max(0, number + 1 - first_seq_of(batch["_id"]))
                keys += batch["keys"][known:]
            if len(batches) < portion:
                break
            start, portion = batches[-1]["_id"] + 1, portion * 2
        return keys[:limit]

    def _batch_of(self, partition: int, seq: int) -> int:
        """The batch that holds this number, or would."""
        up_to = {"$gte": batch_id(partition, 0), "$lte": batch_id(partition, seq)}
        found = self._database("journal")["batches"].find_one(
            {"_id": up_to}, {"_id": 1}, sort=[("_id", -1)]
        )
        return int(found["_id"]) if found else batch_id(partition, seq)

    def _decisions(self, service: str, partition: int, number: int, limit: int) -> list[Document]:
        # The number is 0 before the first, and 0 lies below every later partition.
        behind = max(number, decision_number(partition, 0))
        wanted = {"$gt": behind, "$lt": decision_number(partition + 1, 0)}
        found = self._database(service)[DECISIONS].find({"_id": wanted})
        return list(found.sort("_id", 1).limit(limit))

    def _database(self, service: str) -> Database[Document]:
        return self._client.get_database(self._settings.database(service), codec_options=CODEC)


def _as_read(message: Outgoing, partition: int) -> Message:
    """What was produced, as a reader of the topic gets it."""
    return Message(
        topic=message.topic,
        partition=partition,
        offset=ARCHIVED,
        key=message.key,
        value=message.value,
        headers=text_headers(message.headers),
    )
