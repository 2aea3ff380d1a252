"""Replaying: dead letters of the inbox are put back as they came; of other topics none is."""

from collections.abc import Iterable

from confluent_kafka import Message, Producer

from cli.letters import Letter, Place
from cli.problems import CommandError
from shared.contracts.topics import INBOX, LOG
from shared.runtime.kafka import producer_settings
from shared.runtime.settings import Settings

ADDED_HEADERS = frozenset(
    {"dead_service", "dead_reason", "dead_topic", "dead_partition", "dead_offset"}
)
"""What burying adds; all others are the original's (`shared/runtime/announcing.py`)."""
SEND_SECONDS = 10.0
AT_A_TIME = 500


class Replaying:
    """Puts letters back on the inbox: the original bytes, key and headers, each acknowledged."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topic(INBOX.name)
        self._failed: list[str] = []
        self._producer = Producer(
            producer_settings(settings, settings.topic("operator"))
            | {
                "enable.gapless.guarantee": False,  # the inbox has no numbers: no hole either
                "message.timeout.ms": int(SEND_SECONDS * 1000),
                "log_level": 0,
            }
        )

    def send(self, letters: Iterable[Letter]) -> int:
        """How many are on the inbox again. Raises `CommandError`, naming how many are not."""
        count = 0
        for letter in letters:
            self._produce(letter)
            count += 1
            if count % AT_A_TIME == 0:
                self._settle(count)
        self._settle(count)
        return count

    def _produce(self, letter: Letter) -> None:
        self._producer.produce(
            self._topic,
            letter.value,
            letter.original.key(),
            headers=_original_headers(letter.original),
            on_delivery=lambda error, _: self._failed.append(error.str()) if error else None,
        )

    def _settle(self, count: int) -> None:
        left = self._producer.flush(SEND_SECONDS * 2)
        if not left and not self._failed:
            return
        why = self._failed[0] if self._failed else "no answer"
        raise CommandError(
            f"of {count} letters, {left + len(self._failed)} are not known to be on the inbox "
            f"({why}); to replay them again does no harm: the journal takes each id once."
        )


def _original_headers(message: Message) -> list[tuple[str, str | bytes | None]]:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [(name, value) for name, value in pairs if name not in ADDED_HEADERS]


def not_replayable(place: Place) -> str:
    """Why a letter of any other topic than the inbox's is not put back, and what is done instead;
    empty for one of the inbox."""
    if place.source == INBOX.name:
        return ""
    if place.source == LOG.name:
        return (
            f"{place} is not replayed: the journal has the event already and would drop it as a "
            "repeat. Where a rule raised on it, its customer is parked: mend the rule, then "
            "unpark the customer, and the event is decided in its order."
        )
    service = place.source.partition(".")[0]
    return (
        f"{place} is not replayed: the decision stands in the database of {service}, and whoever "
        "reads its facts is rebuilt from there."
    )
