"""Makes the topics that are missing, and ends: `python -m deploy.compose.topics`.

Run before the services start, as often as you like. It changes no topic that exists.
"""

import sys

from confluent_kafka import KafkaException

from shared.contracts.topics import TOPICS
from shared.runtime.kafka import create_topics
from shared.runtime.settings import Settings, SettingsError


def main() -> int:
    """0 when all topics are there, 1 where Kafka refuses, 2 for a wrong setting."""
    try:
        settings = Settings.from_environment()
        made = create_topics(settings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KafkaException as error:
        sys.stderr.write(f"the topics could not be made: {error.args[0].str()}\n")
        return 1
    sys.stdout.write(f"{len(TOPICS)} topics of {settings.namespace}: {len(made)} made now\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
