"""Topics that were just made: their partitions may not have leaders yet."""

import time

from confluent_kafka import KafkaException

from services.query.settled import inbox_ends
from shared.runtime.kafka import create_topics
from shared.runtime.settings import Settings

DEADLINE_SECONDS = 20


def create_ready_topics(settings: Settings) -> None:
    """Makes the topics and waits until the inbox can be asked for its ends."""
    create_topics(settings)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            inbox_ends(settings)
        except KafkaException:
            assert time.monotonic() < deadline, "the inbox has no leaders"
            time.sleep(0.05)
        else:
            return
