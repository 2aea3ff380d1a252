"""Events as the gateway puts them on the inbox: checkouts whose points are known beforehand."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from bench.problems import BenchError
from services.ingest.bodies import event_of
from services.ingest.domain.content import ContentKey
from services.ingest.domain.submission import Door, Ready, submit
from shared.contracts.topics import INBOX
from shared.runtime.kafka import producer_settings
from shared.runtime.settings import Settings

TENANT = "demo"
SEED = 20_171_024
PRODUCTS = 5_000
CATEGORIES = ("Bakery", "Dairy", "Drinks", "Fresh fruit", "Household", "Meat", "Snacks")
FLUSH_SECONDS = 60.0
POLL_EVERY = 1_000


class Made(NamedTuple):
    """An event as a client sends it, and the points that it earns at 10 %."""

    customer: str
    body: bytes
    points: int


@dataclass(frozen=True, slots=True)
class Filled:
    """What was put on the inbox."""

    events: int
    points: int


def customer_names(count: int, prefix: str = "c") -> list[str]:
    """`c-00000` and so on: all of the same length."""
    return [f"{prefix}-{number:05}" for number in range(count)]


def opt_ins(customers: Iterable[str]) -> Iterator[Made]:
    """One for each customer."""
    for customer in customers:
        event = {"id": f"join-{customer}", "customer": customer, "action": "opt_in", "data": {}}
        yield Made(customer, msgspec.json.encode(event), 0)


def checkouts(count: int, customers: Sequence[str], lines: int, run: str = "e") -> Iterator[Made]:
    """Of customers taken by chance, the same ones in every run; `run` tells ids apart.

    Prices are whole tens, so that 10 % of a basket needs no rounding.
    """
    chance = random.Random(SEED)
    for number in range(count):
        yield checkout(f"{run}-{number:07}", chance.choice(customers), lines, chance)


def checkout(event_id: str, customer: str, lines: int, chance: random.Random) -> Made:
    """One basket of so many lines. More than two lines also bear names and categories."""
    items: list[dict[str, Any]] = []
    tens = 0
    for _ in range(lines):
        product, price, quantity = chance.randrange(PRODUCTS), 1 + chance.randrange(9), 1
        item = {"product_id": f"p-{product}", "quantity": quantity, "price": f"{price * 10}.00"}
        if lines > 2:
            item["product_name"] = f"Product number {product}"
            item["category"] = CATEGORIES[product % len(CATEGORIES)]
        items.append(item)
        tens += price * quantity
    data = {
        "transaction_id": f"T-{event_id}",
        "currency": "USD",
        "total": f"{tens * 10}.00",
        "items": items,
    }
    event = {"id": event_id, "customer": customer, "action": "checkout", "data": data}
    return Made(customer, msgspec.json.encode(event), tens)


def fill(settings: Settings, events: Iterable[Made]) -> Filled:
    """Puts events on the inbox as the gateway does, and waits until the broker has them all."""
    ready = _door(settings)
    configured = producer_settings(settings, "bench") | {"linger.ms": 20}
    producer = Producer(configured)
    topic, failed = settings.topic(INBOX.name), list[str]()

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(str(error))

    count = points = 0
    for made in events:
        event = ready(made)
        headers = _headers(event)
        _put(producer, topic, f"{TENANT}/{event.customer}", event.value, headers, delivered)
        count, points = count + 1, points + made.points
        if count % POLL_EVERY == 0:
            producer.poll(0)
    if producer.flush(FLUSH_SECONDS) or failed:
        raise BenchError(f"the inbox could not be filled: {failed[:1] or 'no acknowledgement'}")
    return Filled(count, points)


def _put(  # a message has as many parts
    producer: Producer,
    topic: str,
    key: str,
    value: bytes,
    headers: list[tuple[str, str | bytes | None]],
    delivered: Callable[[KafkaError | None, Message], None],
) -> None:
    while True:
        try:
            producer.produce(topic, value, key, headers=headers, on_delivery=delivered)
        except BufferError:
            producer.poll(0.1)
        else:
            return


def _door(settings: Settings) -> Callable[[Made], Ready]:
    secret = settings.content_secret.get_secret_value()
    door = Door(ContentKey(secret, TENANT).hash, lambda: "never")

    def ready(made: Made) -> Ready:
        answer = submit(event_of(made.body, "application/json"), door)
        if not isinstance(answer, Ready):
            raise BenchError(f"the gateway would refuse an event of the bench: {answer}")
        return answer

    return ready


def _headers(event: Ready) -> list[tuple[str, str | bytes | None]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_source", b"gateway"),
        ("hops", b"0"),
        ("ce_id", event.id),
        ("ce_type", event.action),
        ("tenant", TENANT),
        ("customer", event.customer),
        ("content", event.content),
    ]
