"""How far the services of a stage are, by their cursors."""

from collections.abc import Mapping
from typing import Any

from bench.ground import Stage
from shared.runtime.mongo import field_name

DATABASES = {"journal": "journal", "customers": "customers", "points": "points", "cards": "query"}


class Progress:
    """Reads cursors; a read costs mongod some 0.1 ms."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def cursors(self, service: str) -> Mapping[int, Mapping[str, Any]]:
        """By partition."""
        database = self._stage.mongo[self._stage.settings.database(DATABASES[service])]
        return {cursor["_id"]: cursor for cursor in database["cursors"].find()}

    def epochs(self, service: str) -> int:
        """Rises when a worker takes a partition over."""
        return sum(int(cursor.get("epoch", 0)) for cursor in self.cursors(service).values())

    def taken(self, service: str, topic: str) -> int:
        """How many messages of a topic were taken, over all partitions."""
        name = field_name(topic)
        cursors = self.cursors(service).values()
        return sum(int(cursor.get("next", {}).get(name, 0)) for cursor in cursors)

    def last(self, service: str) -> dict[int, int]:
        """The number of the last thing that a service announced, by partition."""
        return {at: int(cursor.get("last", 0)) for at, cursor in self.cursors(service).items()}

    def has_seen(self, service: str, topic: str, numbers: Mapping[int, int]) -> bool:
        """Whether a service has taken a numbered topic up to these numbers."""
        seen = self.seen(service, topic)
        return all(seen.get(at, 0) >= number for at, number in numbers.items())

    def seen(self, service: str, topic: str) -> dict[int, int]:
        """The last number of a numbered topic that a service has taken, by partition."""
        name, cursors = field_name(topic), self.cursors(service)
        return {at: int(cursor.get("seen", {}).get(name, 0)) for at, cursor in cursors.items()}

    def points_given(self) -> int:
        """The score of all customers, over all accounts, as points has stored it."""
        states = self._stage.mongo[self._stage.settings.database("points")]["states"]
        return sum(
            int(account["score"])
            for state in states.find({}, {"accounts": 1})
            for account in state["accounts"].values()
        )
