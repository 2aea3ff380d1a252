"""Kept states: what a handler knows of customers between batches, bounded, by partition."""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Generic, TypeVar

State = TypeVar("State")


class Kept(Generic[State]):
    """The states last used, at most `most`; one that falls out is read again when it is needed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._states: OrderedDict[str, tuple[int, State]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._states)

    def known(self, keys: Iterable[str]) -> dict[str, State]:
        """Those of these keys that are kept."""
        return {key: self._states[key][1] for key in keys if key in self._states}

    def keep(self, partition: int, key: str, state: State) -> None:
        """Only what is committed may be kept."""
        self._states[key] = (partition, state)
        self._states.move_to_end(key)
        if len(self._states) > self._most:
            self._states.popitem(last=False)

    def forget(self, partitions: Collection[int]) -> None:
        """Somebody else may write these partitions now."""
        gone = [key for key, (partition, _) in self._states.items() if partition in partitions]
        for key in gone:
            del self._states[key]
