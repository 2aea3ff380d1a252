"""What must come out: computed from the inbox alone, by code that shares nothing with the rules."""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from confluent_kafka import Consumer, Producer, TopicPartition

from shared.runtime.kafka import producer_settings
from shared.runtime.messages import text_headers
from shared.runtime.settings import Settings

TENANT = "demo"
READ_SECONDS = 10.0


@dataclass
class Load:
    """Events of many customers, some ids repeated: the same for the same seed."""

    customers: int
    events: int
    repeated_percent: int = 5
    seed: int = 7
    name: str = ""
    """Of customers and ids, so that several loads have nothing in common."""
    sent: list[tuple[str, bytes]] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """`(customer, value)` in the order of sending: opt-ins first, then everything mixed."""
        chance = random.Random(self.seed)
        for number in range(self.customers):
            at = f"{self.name}{number}"
            yield self._made(f"c-{at}", f"join-{at}", "opt_in", {})
        for number in range(self.events):
            if self.sent and chance.randrange(100) < self.repeated_percent:
                yield chance.choice(self.sent[-2000:])
                continue
            customer = f"c-{self.name}{chance.randrange(self.customers)}"
            yield self._one(customer, f"{self.name}{number}", chance)

    def _one(self, customer: str, number: str, chance: random.Random) -> tuple[str, bytes]:
        kind = chance.randrange(100)
        if kind < 70:
            total = f"{chance.randrange(1, 300)}.{chance.randrange(100):02}"
            data: dict[str, object] = {
                "currency": "USD",
                "total": total,
                "transaction_id": f"t-{number}",
            }
            return self._made(customer, f"e-{number}", "checkout", data)
        action = "point_spend" if kind < 90 else "point_add"
        points: dict[str, object] = {"points": chance.randrange(1, 60)}
        return self._made(customer, f"e-{number}", action, points)

    def _made(
        self, customer: str, event: str, action: str, data: dict[str, object]
    ) -> tuple[str, bytes]:
        body = {"id": event, "customer": customer, "action": action, "account": "", "data": data}
        made = (customer, json.dumps(body, separators=(",", ":")).encode())
        self.sent.append(made)
        return made


class Sender:
    """Puts events on the inbox as the gateway does."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topic("events.inbox")
        self._producer = Producer({**producer_settings(settings, "load"), "linger.ms": 5})

    def send(self, customer: str, value: bytes) -> None:
        """One event; acknowledged by the next `flush`."""
        event = json.loads(value)
        headers = {
            "ce_id": event["id"],
            "ce_type": event["action"],
            "ce_source": "gateway",
            "tenant": TENANT,
            "customer": customer,
            "content": hashlib.sha256(value).hexdigest(),
            "hops": "0",
        }
        self._producer.produce(
            self._topic,
            value,
            key=f"{TENANT}/{customer}".encode(),
            headers=[(name, text.encode()) for name, text in headers.items()],
        )
        self._producer.poll(0)

    def flush(self) -> None:
        """Until the broker has everything."""
        assert self._producer.flush(60) == 0, "the broker did not take the load"


def messages(settings: Settings, topic: str) -> Iterator[tuple[int, dict[str, str], bytes]]:
    """Everything on a topic: `(partition, headers, value)`, in order within a partition."""
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka_servers, "group.id": f"{settings.namespace}.model"}
    )
    # All ends before anything is fetched: a question waits for a fetch that is under way.
    left = {
        place.partition: end
        for place in _places(settings, topic)
        if (end := consumer.get_watermark_offsets(place, timeout=READ_SECONDS)[1])
    }
    consumer.assign([place for place in _places(settings, topic) if place.partition in left])
    while left:
        for message in consumer.consume(5000, 0.05):
            assert message.error() is None, message.error()
            partition, offset, value = message.partition(), message.offset(), message.value()
            assert partition is not None
            assert offset is not None
            if partition in left and offset + 1 >= left[partition]:
                del left[partition]
            yield partition, text_headers(message.headers()), bytes(value or b"")
    consumer.close()


def _places(settings: Settings, topic: str) -> list[TopicPartition]:
    return [TopicPartition(settings.topic(topic), p, 0) for p in range(settings.partitions)]


@dataclass
class Model:
    """Balances and outcomes by a dozen lines of arithmetic."""

    score: dict[str, int] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)

    def apply(self, value: bytes) -> None:
        """The next event of its partition; an id that was there before changes nothing."""
        event = json.loads(value)
        if event["id"] in self.outcomes:
            return
        customer, data = event["customer"], event["data"]
        accepted = True
        if event["action"] == "opt_in":
            self.score[customer] = self.spent[customer] = 0
        elif event["action"] == "checkout":
            cents = int(data["total"].replace(".", ""))
            self.score[customer] += (cents + 500) // 1000
        elif event["action"] == "point_add":
            self.score[customer] += data["points"]
        elif self.score[customer] - self.spent[customer] >= data["points"]:
            self.spent[customer] += data["points"]
        else:
            accepted = False
        self.outcomes[event["id"]] = "accepted" if accepted else "refused"


def model_of(settings: Settings) -> Model:
    """What the inbox's messages must have led to."""
    model = Model()
    for _, _, value in messages(settings, "events.inbox"):
        model.apply(value)
    return model
