"""One partitioner for every client: ours, librdkafka's and a real broker agree."""

import confluent_kafka
import pytest
from confluent_kafka import Message, Producer
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.partitions import murmur2, partition_of
from shared.runtime.kafka import PARTITIONER
from shared.runtime.settings import Settings

GOLDEN = {
    # From Kafka's own UtilsTest: murmur2 as a signed 32-bit integer.
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
KEYS = [f"demo/c-{number}".encode() for number in range(40)] + [
    "demo/ü/🛍".encode(),
    b"",
    b"x" * 200,
]


@pytest.mark.parametrize(("key", "signed"), GOLDEN.items(), ids=lambda value: str(value)[:20])
def test_the_hash_is_that_of_the_java_client(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed % 2**32


@given(st.binary(max_size=200), st.integers(1, 1023))
def test_our_partition_is_that_of_librdkafka(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == confluent_kafka.murmur2(key, partitions)


def test_a_real_producer_puts_keys_where_we_say(settings: Settings) -> None:
    landed: dict[bytes, int | None] = {}

    def delivered(_error: object, message: Message) -> None:
        key = message.key()
        landed[key if isinstance(key, bytes) else b""] = message.partition()

    producer = Producer({"bootstrap.servers": settings.kafka_servers, "partitioner": PARTITIONER})
    keys = [key for key in KEYS if key]
    for key in keys:
        producer.produce(settings.topic("events.inbox"), b"{}", key, on_delivery=delivered)
    assert producer.flush(20) == 0
    assert landed == {key: partition_of(key, settings.partitions) for key in keys}
