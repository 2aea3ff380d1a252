"""What the projector asks of the world (a store, a broker) and of a service (a handler)."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

Document = dict[str, Any]
"""A MongoDB document: one of the two places where `Any` meets us (STYLE, rule 14)."""

Headers = Mapping[str, str]


ARCHIVED = -1
"""The offset of a message that was read from the archive: it has a number alone."""


class Message(Struct, frozen=True, gc=False):
    """A message of one of the inputs; `topic` is the name without the namespace, `offset` is
    `ARCHIVED` where it came from the archive."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Headers


class Link(NamedTuple):
    """Where a numbered message stands in its partition: its number and the number before it."""

    number: int
    previous: int
    lineage: str


@dataclass(frozen=True, slots=True)
class Input:
    """A topic that is read. `link` reads a message's place in the chain (`None`: unreadable, so it
    is dead); a topic without `link` is not numbered, and only offsets tell repeats apart."""

    topic: str
    link: Callable[[Headers], Link | None] | None = None


class Outgoing(Struct, frozen=True, gc=False):
    """A message to announce. Without a partition the key chooses it."""

    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    partition: int | None = None


class Dead(NamedTuple):
    """A message that cannot be read, and why."""

    message: Message
    reason: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """All positions of one partition, one document, moved in the transaction of each batch.

    `next`: offset to read by topic; `seen`: last number by numbered topic; `last`: last number of
    our own; `announced`: the number up to which our announcements are acknowledged; `marks`: what
    the handler keeps beside them.
    """

    partition: int
    epoch: int
    batch: int = 0
    next: Mapping[str, int] = field(default_factory=dict)
    seen: Mapping[str, int] = field(default_factory=dict)
    last: int = 0
    announced: int = 0
    lineage: str = ""
    marks: Mapping[str, Any] = field(default_factory=dict)


class Place(NamedTuple):
    """What fences an owner: only who holds this very epoch and batch may move the cursor."""

    epoch: int
    batch: int


class Fenced(Exception):
    """Another worker has taken a partition of this batch over: drop it, re-read."""


class Conflict(Exception):
    """Somebody wrote what the batch wanted to write; nothing is written: forget, reload, redo."""


class Unavailable(Exception):
    """The store does not answer; nothing is known to be written: wait and redo."""


class UnknownCommit(Exception):
    """The commit's answer was lost: only the cursors tell whether it happened."""


class BrokenInvariant(Exception):
    """Something that cannot be is so; the process must stop and a person must look."""


class Stopped(Exception):
    """Only a person can make it go on; the text says what is so and what to do."""


class Transaction(Protocol):
    """The writes of one batch: all or nothing. Collections are those of the service's database."""

    def find(
        self, collection: str, ids: Collection[Any] | None = None, service: str = ""
    ) -> list[Document]:
        """Documents by `_id` (`None`: all), as of the transaction's snapshot; `service`: whose."""

    def insert(self, collection: str, documents: Sequence[Document]) -> None:
        """New documents; one that exists makes the transaction a `Conflict`."""

    def put(self, collection: str, documents: Sequence[Document]) -> None:
        """Whole documents by `_id`, new or replaced."""

    def update(self, collection: str, updates: Iterable[tuple[Any, Document]]) -> None:
        """Update operators by `_id`; a missing document is made."""

    def remove(self, collection: str, ids: Collection[Any]) -> None:
        """Documents by `_id`; missing ones are no error."""

    def move(self, before: Cursor, after: Cursor) -> bool:
        """Moves a cursor if it still stands at `before`; false: fenced."""


class Store(Protocol):
    """Where state, decisions and positions live."""

    def take_over(self, partition: int) -> Cursor:
        """Ends the former owner's open transaction, raises the epoch, returns the positions."""

    def places(self, partitions: Collection[int]) -> dict[int, Place]:
        """Where the cursors stand now. Raises `Unavailable`."""

    def holders(self, partitions: Collection[int]) -> dict[int, str]:
        """Which worker holds each of these cursors; empty: it was given back. Raises
        `Unavailable`."""

    def transact(self, body: Callable[[Transaction], None]) -> None:
        """Runs `body` in one transaction and commits it with majority. Raises `Conflict`,
        `Unavailable`, `UnknownCommit`, or what `body` raises (then nothing is written)."""


class Archive(Protocol):
    """What numbered topics carried, for ever."""

    def after(self, topic: str, partition: int, number: int, limit: int) -> list[Message]:
        """At most `limit` messages behind `number`, in order; fewer: there are no more yet.
        Raises `Unavailable`."""


class Work(Protocol):
    """A decided batch, ready to be written; made by a handler, used once."""

    @property
    def dead(self) -> Sequence[Dead]:
        """Messages that cannot be read: dead-lettered before the positions move past them."""

    def prepare(self, transaction: Transaction) -> None:
        """Reads what must be read inside the transaction, before anything is written."""

    def last(self) -> Mapping[int, int]:
        """The last number of our own by partition, for those where this batch adds some."""

    def marks(self) -> Mapping[int, Mapping[str, Any]]:
        """The handler's own cursor fields by partition, for those that change."""

    def write(self, transaction: Transaction) -> None:
        """Inserts decisions, writes states."""

    def outgoing(self) -> Iterable[Outgoing]:
        """What to announce once it is committed, in order."""

    def committed(self) -> None:
        """It is committed: only now may caches change."""


class Handler(Protocol):
    """A service, as the projector sees it."""

    def due(self, cursors: Mapping[int, Cursor]) -> bool:
        """Whether a batch is wanted though no message came."""

    def decide(self, messages: Sequence[Message], cursors: Mapping[int, Cursor]) -> Work:
        """Loads states and decides in order, in memory only, on copies."""

    def resend(self, cursor: Cursor) -> Iterable[Outgoing]:
        """What follows the acknowledged mark of a partition just taken over."""

    def forget(self, partitions: Collection[int]) -> None:
        """Drop what is cached of these partitions: somebody else may have written."""
