"""A topic's partition beside what was stored: every message that is still there, in its order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from cli.verify.findings import Findings
from shared.contracts.decisions import position
from shared.runtime.settings import Settings

CONSUME_MESSAGES = 5_000
CONSUME_SECONDS = 0.5
SILENCE_SECONDS = 30.0
"""A broker that hands nothing over for so long, though it has messages, is away."""
WATERMARKS_SECONDS = 10.0


class Carried(NamedTuple):
    """A message; `number` is its place in the partition's chain, which a header names."""

    offset: int
    number: int
    key: bytes
    value: bytes
    headers: Mapping[str, bytes]


class Reader(NamedTuple):
    """A service that reads the topic: the offset that it reads next, the number it has seen."""

    next: int
    service: str
    seen: int


@dataclass(slots=True)
class Place:
    """One partition of a topic, to be read from `low` to before `high`."""

    consumer: Consumer
    of: TopicPartition
    low: int
    high: int

    def messages(self, number_header: str) -> Iterator[Carried | int]:
        """Of a message without a number the offset alone. Raises `KafkaException`."""
        offset, silent_seconds = self.low, 0.0
        self.consumer.assign([TopicPartition(self.of.topic, self.of.partition, offset)])
        while offset < self.high:
            # consume(n, t) waits the whole t for n messages: no more are asked for than there are.
            wanted = min(CONSUME_MESSAGES, self.high - offset)
            batch = self.consumer.consume(wanted, CONSUME_SECONDS)
            silent_seconds = 0.0 if batch else silent_seconds + CONSUME_SECONDS
            if silent_seconds > SILENCE_SECONDS:
                raise KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT))
            for message in batch:
                if error := message.error():
                    raise KafkaException(error)
                offset = (message.offset() or 0) + 1
                if offset > self.high:
                    return
                yield _carried(message, offset - 1, number_header)


def open_place(settings: Settings, topic: str, partition: int) -> Place:
    """Raises `KafkaException`. What retention removes in the meantime is passed over."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_servers,
            "group.id": settings.topic("verify"),
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "queued.max.messages.kbytes": 16_384,
            "log_level": 0,  # what is wrong is said in our own words
        }
    )
    of = TopicPartition(settings.topic(topic), partition)
    low, high = consumer.get_watermark_offsets(of, timeout=WATERMARKS_SECONDS)
    return Place(consumer, of, low, high)


def _carried(message: KafkaMessage, offset: int, number_header: str) -> Carried | int:
    headers: dict[str, bytes] = dict(message.headers() or ())  # type: ignore[arg-type]
    try:
        number = int(headers[number_header])
    except (KeyError, ValueError):
        return offset
    return Carried(offset, number, message.key() or b"", message.value() or b"", headers)


@dataclass(slots=True)
class Topic:
    """Walks a partition beside the stored documents, which come in the order of their numbers.

    `announced`: up to here all must be there, `last`: beyond it the snapshot knows nothing.
    """

    name: str
    partition: int
    place: Place
    number_header: str
    announced: int
    last: int
    readers: list[Reader]
    found: Findings
    _messages: Iterator[Carried | int] = field(init=False)
    _next: Carried | None = None
    _first: int | None = None
    _highest: int = 0

    def __post_init__(self) -> None:
        self._messages = self.place.messages(self.number_header)
        self.readers = sorted(self.readers)

    def take(self, number: int, customer: str) -> Carried | None:
        """The message of a stored document; none where retention took it, or it is not announced
        yet. One that is missing is a difference."""
        while (message := self._peek()) is not None and message.number < number:
            self._stray(message)
            self._next = None
        if message is not None and message.number == number:
            self._next = None
            return message
        if self._first is not None and number > self._first:
            if message is not None:
                self._differ(customer, number, "is missing, though later ones are there")
            elif number <= self.announced:
                self._differ(customer, number, "is missing, though it counts as announced")
        return None

    def finish(self) -> None:
        """What is left has no stored document; and where the readers stand is known now."""
        while (message := self._peek()) is not None:
            self._stray(message)
            self._next = None
        self._pass(self.place.high)
        for reader in self.readers:
            sentence = f"reads {self.name} from {reader.next}, but it ends at {self.place.high}"
            self.found.differ(f"{reader.service}.cursors", "", self.partition, sentence)

    def _peek(self) -> Carried | None:
        if self._next is None:
            self._next = self._advance()
        return self._next

    def _advance(self) -> Carried | None:
        """The next message that was not there before; those behind the snapshot are no concern."""
        for item in self._messages:
            if isinstance(item, int):
                self._pass(item)
                sentence = f"holds a message without a number at offset {item}"
                self.found.differ(self.name, "", self.partition, sentence)
                continue
            self._pass(item.offset)
            if item.number > self.last:
                break
            self.found.checked[self.name] += 1
            if self._first is None:
                self._first = item.number
            if item.number > self._highest:
                self._highest = item.number
                return item
        self._messages = iter(())
        return None

    def _pass(self, offset: int) -> None:
        """Each reader must have seen the highest number before the offset that it reads next. More
        than that only where it may have read the archive, which moves no offset: where the
        topic's beginning is gone."""
        low = self.place.low
        while self.readers and self.readers[0].next <= offset:
            reader = self.readers.pop(0)
            ahead = reader.seen > self._highest and low == 0
            if (reader.seen < self._highest or ahead) and reader.next > low:
                self.found.differ(
                    f"{reader.service}.cursors",
                    "",
                    self.partition,
                    f"says that {reader.seen} of {self.name} was seen last, but before the offset "
                    f"{reader.next}, which it reads next, stands {self._highest}",
                )

    def _stray(self, message: Carried) -> None:
        tenant, customer = message.headers.get("tenant", b""), message.headers.get("customer", b"")
        of = f"{tenant.decode()}/{customer.decode()}" if customer else ""
        self._differ(of, message.number, "was announced, but nothing stored has this number")

    def _differ(self, customer: str, number: int, sentence: str) -> None:
        # A decision's number says where it is; one of the log counts within its partition.
        id_ = position(self.partition, number) if self.number_header == "seq" else str(number)
        self.found.differ(self.name, customer, id_, sentence)
