"""How far the services are, read from their cursors: who owns what, who has caught up."""

from collections import Counter
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, TopicPartition

from shared.runtime.mongo import open_client
from shared.runtime.ports import Document
from shared.runtime.settings import Settings
from tests.faults.staging import wait

DATABASES = {"journal": "journal", "customers": "customers", "points": "points", "cards": "query"}
READS = {
    "customers": {"events_log": "journal"},
    "points": {"events_log": "journal"},
    "cards": {"points_facts": "points", "customers_facts": "customers"},
}
"""By worker: what it reads, and who numbers that."""
ENDS_SECONDS = 10.0


class Progress:
    """Reads the cursors of one namespace, past any proxy that the services may go through."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = open_client(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()

    def cursors(self, worker: str) -> list[Document]:
        """Each partition's, of one kind of worker."""
        return list(self._client[self._settings.database(DATABASES[worker])].cursors.find())

    def done(self, worker: str) -> int:
        """How many events of the log it has behind it; of the journal: how many it numbered."""
        if worker == "journal":
            return sum(cursor.get("last", 0) for cursor in self.cursors(worker))
        return sum(cursor.get("seen", {}).get("events_log", 0) for cursor in self.cursors(worker))

    def owners(self, worker: str) -> Counter[str]:
        """How many partitions each has, by the name of the process."""
        return Counter(cursor["worker"] for cursor in self.cursors(worker))

    def places(self, worker: str) -> dict[int, tuple[int, int]]:
        """Epoch and batch of each partition."""
        return {c["_id"]: (c["epoch"], c.get("batch", 0)) for c in self.cursors(worker)}

    def caught_up(self, within_seconds: float) -> bool:
        """Whether the journal has read the inbox, and everybody what they read, before long."""
        inbox = self._inbox()

        def settled() -> bool:
            journal = {cursor["_id"]: cursor for cursor in self.cursors("journal")}
            if {p: c.get("next", {}).get("events_inbox", 0) for p, c in journal.items()} != inbox:
                return False
            return all(self._level(worker) for worker in READS)

        return wait(settled, within_seconds)

    def _level(self, worker: str) -> bool:
        """Whether a worker that is there at all has seen the last number of all that it reads."""
        cursors = {cursor["_id"]: cursor.get("seen", {}) for cursor in self.cursors(worker)}
        return all(
            {p: seen.get(topic, 0) for p, seen in cursors.items()}
            == {cursor["_id"]: cursor.get("last", 0) for cursor in self.cursors(owner)}
            for topic, owner in READS[worker].items()
            if cursors
        )

    def _inbox(self) -> dict[int, int]:
        consumer = Consumer(
            {"bootstrap.servers": self._settings.kafka_servers, "group.id": "how-far"}
        )
        topic = self._settings.topic("events.inbox")
        try:
            return {
                p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=ENDS_SECONDS)[1]
                for p in range(self._settings.partitions)
            }
        finally:
            consumer.close()
