"""What the gateway cannot have made, put on the inbox: dead with its source, and nobody waits."""

import hashlib
import itertools
import json
import time

from confluent_kafka import Producer

from shared.contracts.partitions import partition_of
from tests.faults.model import messages
from tests.integration.clients import client_of, decided, event, set_program_up
from tests.running import Stack

POISONED = "c-poisoned"


def _neighbour(stack: Stack) -> tuple[str, int]:
    """A customer of the same partition as the poisoned one, and that partition."""
    partitions = stack.settings.partitions
    partition = partition_of(f"demo/{POISONED}".encode(), partitions)
    names = (f"c-{number}" for number in itertools.count())
    return next(
        name for name in names if partition_of(f"demo/{name}".encode(), partitions) == partition
    ), partition


def _good(customer: str, id_: str) -> tuple[bytes, dict[str, str]]:
    body = {"id": id_, "customer": customer, "action": "point_add", "data": {"points": 5}}
    value = json.dumps(body).encode()
    return value, {
        "ce_id": id_,
        "ce_type": "point_add",
        "ce_source": "gateway",
        "tenant": "demo",
        "customer": customer,
        "content": hashlib.sha256(value).hexdigest(),
    }


def test_poison_on_the_inbox_is_dead_with_its_source_and_holds_nobody_up(stack: Stack) -> None:
    set_program_up(stack)
    neighbour, partition = _neighbour(stack)
    value, headers = _good(POISONED, "p-1")
    key = f"demo/{POISONED}".encode()
    wrong_partition = (partition + 1) % stack.settings.partitions
    poison: list[tuple[int, bytes, bytes, dict[str, str]]] = [
        (partition, key, b"\xff\xfe\x00 no json", headers),
        (partition, key, value, {}),
        (partition, key, value, headers | {"tenant": "other"}),
        (partition, key, value, {k: v for k, v in headers.items() if k != "content"}),
        (partition, b"demo/somebody", value, headers),
        (partition, key, value, headers | {"ce_id": "another"}),
        (partition, key, value.replace(b"5", b'{"$gt": 0}'), headers),
        (partition, key, value.replace(b"5", b"-5"), headers),
        (partition, key, b"[" * 5000, headers),
        (partition, key, value, headers | {"hops": "9"}),
        (wrong_partition, key, value, headers),
    ]
    with client_of(stack) as client:
        assert decided(stack, client, event(neighbour, "opt_in"))["status"] == "accepted"
        producer = Producer({"bootstrap.servers": stack.settings.kafka_servers, "acks": "all"})
        for where, whose, bytes_, told in poison:
            producer.produce(
                stack.settings.topic("events.inbox"),
                bytes_,
                key=whose,
                partition=where,
                headers=[(name, text.encode()) for name, text in told.items()],
            )
        assert producer.flush(10) == 0
        started = time.monotonic()
        after = decided(stack, client, event(neighbour, "point_add", points=7))
        print(f"the neighbour's event was decided {time.monotonic() - started:.3f} s later")
        assert after["balances"]["main"]["spendable"] == 7
        assert client.get(f"{stack.query}/v1/customers/{POISONED}").status_code == 404
    # The other partition's letter may still be under way: its next event is behind it.
    deadline = time.monotonic() + 10
    while len(letters := list(messages(stack.settings, "events.inbox.dead"))) < len(poison):
        assert time.monotonic() < deadline, f"{len(letters)} letters of {len(poison)}"
        time.sleep(0.1)
    assert sorted(letter for _, _, letter in letters) == sorted(item[2] for item in poison)
    for where, told, _ in letters:
        assert told["dead_topic"] == "events.inbox"
        assert told["dead_service"] == "journal"
        assert int(told["dead_partition"]) == where
        assert told["dead_reason"]
        assert told["dead_offset"].isdigit()
