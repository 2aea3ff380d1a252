"""Chains: which messages of a batch are new, and where the cursors stand after them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.runtime.ports import ARCHIVED, Cursor, Dead, Input, Message, Work


class ChainBroken(Exception):
    """A numbered input has a gap: something was lost, or another log is read."""

    def __init__(self, partition: int, reason: str) -> None:
        super().__init__(reason)
        self.partition = partition


@dataclass(slots=True)
class Taken:
    """New messages in order, those that cannot be placed, the cursors moved past them all."""

    messages: list[Message] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    cursors: dict[int, Cursor] = field(default_factory=dict)
    broken: list[ChainBroken] = field(default_factory=list)
    repeated: int = 0


@dataclass(slots=True)
class _Place:
    """A cursor being moved: plain dicts, since a dataclass copy per message would cost too much."""

    next: dict[str, int]
    seen: dict[str, int]
    lineage: str
    broken: bool = False


def take(
    messages: Iterable[Message], cursors: Mapping[int, Cursor], inputs: Sequence[Input]
) -> Taken:
    """Drops what is at or before the cursor (offset, then number), checks every chain.

    A message of a partition without cursor is not ours and is dropped; one from the archive has
    a number alone, and moves no offset. A broken chain stops its partition at that message; the
    others go on.
    """
    by_topic = {item.topic: item for item in inputs}
    places: dict[int, _Place] = {}
    taken = Taken()
    for message in messages:
        cursor = cursors.get(message.partition)
        if cursor is None:
            continue
        place = places.get(message.partition)
        if place is None:
            place = _Place(dict(cursor.next), dict(cursor.seen), cursor.lineage)
            places[message.partition] = place
        if place.broken or ARCHIVED < message.offset < place.next.get(message.topic, 0):
            continue
        _place_one(message, by_topic[message.topic], place, taken)
    for partition, place in places.items():
        taken.cursors[partition] = replace(
            cursors[partition], next=place.next, seen=place.seen, lineage=place.lineage
        )
    return taken


def moved(
    places: Mapping[int, Cursor], before: Mapping[int, Cursor], work: Work
) -> dict[int, Cursor]:
    """The cursors after the batch: of each partition that it touches, by message or by mark."""
    last, marks = work.last(), work.marks()
    after = {}
    for partition in sorted(places.keys() | last.keys() | marks.keys()):
        cursor = before[partition]
        after[partition] = replace(
            places.get(partition, cursor),
            batch=cursor.batch + 1,
            last=last.get(partition, cursor.last),
            announced=cursor.last,
            marks={**cursor.marks, **marks.get(partition, {})},
        )
    return after


def _place_one(message: Message, source: Input, place: _Place, taken: Taken) -> None:
    if source.link is None:
        taken.messages.append(message)
    else:
        link = source.link(message.headers)
        if link is None:
            taken.dead.append(
                Dead(message, "its number cannot be read: not one of the log's messages")
            )
        elif place.lineage and link.lineage != place.lineage:
            place.broken = True
            taken.broken.append(_other_log(message, place.lineage, link.lineage))
            return
        elif link.number <= (seen := place.seen.get(message.topic, 0)):
            taken.repeated += 1
        elif link.previous != seen:
            place.broken = True
            taken.broken.append(_gap(message, seen, link.previous, link.number))
            return
        else:
            place.seen[message.topic] = link.number
            place.lineage = link.lineage
            taken.messages.append(message)
    if message.offset != ARCHIVED:
        place.next[message.topic] = message.offset + 1


def _gap(message: Message, seen: int, previous: int, number: int) -> ChainBroken:
    return ChainBroken(
        message.partition,
        f"{_where(message)}: number {number} follows {previous}, but {seen} is the last one seen "
        "here; messages are missing",
    )


def _other_log(message: Message, expected: str, found: str) -> ChainBroken:
    return ChainBroken(
        message.partition,
        f"{_where(message)} belongs to log {found}, but this service's state was made from log "
        f"{expected}",
    )


def _where(message: Message) -> str:
    place = "in the archive" if message.offset == ARCHIVED else f"offset {message.offset}"
    return f"{message.topic} partition {message.partition} {place}"
