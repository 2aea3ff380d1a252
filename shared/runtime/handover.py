"""The hand-over: inputs that lie before their topic's beginning are read from the archive first.

The archive is read to its end, then Kafka from what it still has: the topic's first messages were
in the archive already and are dropped by their numbers, and the chain proves that none is missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from shared.runtime.ports import Archive, BrokenInvariant, Cursor, Message

CHUNK_MESSAGES = 2_000
"""Of one input at a time, as many as one batch takes: the loop polls between them."""


@dataclass(slots=True)
class Chunk:
    """The next messages of one input; `last`: the archive had no more by then."""

    topic: str
    partition: int
    messages: list[Message]
    last: bool


@dataclass(slots=True)
class HandOver:
    """Which inputs are still read from the archive. A position is the cursor's last number, so
    that a crash in the middle goes on from there."""

    archive: Archive
    log: structlog.stdlib.BoundLogger
    chunk_messages: int = CHUNK_MESSAGES
    _asked: dict[tuple[str, int], int | None] = field(default_factory=dict)
    """Inputs in turn, each with the number behind which was read last."""

    def begin(self, topic: str, partition: int) -> None:
        """The topic no longer has what comes next in this partition."""
        self._asked[topic, partition] = None

    def forget(self, partition: int) -> None:
        """The partition is not ours any more."""
        for place in [place for place in self._asked if place[1] == partition]:
            del self._asked[place]

    def holds(self, topic: str, partition: int) -> bool:
        """Whether nothing of this input may be read from Kafka yet."""
        return (topic, partition) in self._asked

    def is_under_way(self) -> bool:
        """Whether any input is read from the archive."""
        return bool(self._asked)

    def next_chunk(self, cursors: Mapping[int, Cursor]) -> Chunk:
        """Of the input whose turn it is; only while it is under way. Raises `Unavailable`."""
        topic, partition = place = next(iter(self._asked))
        number = cursors[partition].seen.get(topic, 0)
        asked = self._asked.pop(place)
        self._asked[place] = asked  # to the end: the next turn is another's
        if asked == number:
            raise BrokenInvariant(
                f"{topic} partition {partition}: what the archive has behind {number} was read, "
                "but the cursor did not move"
            )
        messages = self.archive.after(topic, partition, number, self.chunk_messages)
        if asked is None:
            self.log.info("archive_begun", topic=topic, partition=partition, behind=number)
        self._asked[place] = number
        return Chunk(topic, partition, messages, len(messages) < self.chunk_messages)

    def end(self, chunk: Chunk) -> bool:
        """After a chunk is committed: whether Kafka goes on from here."""
        if not chunk.last or (chunk.topic, chunk.partition) not in self._asked:
            return False
        del self._asked[chunk.topic, chunk.partition]
        self.log.info("archive_ended", topic=chunk.topic, partition=chunk.partition)
        return True
