"""What must be true before the stack starts, each said in a sentence where it is not."""

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local import programs
from deploy.local.launch import Launch
from deploy.local.problems import StackError
from deploy.local.processes import listener
from shared.runtime.settings import Settings

GIVEN_TIMEOUT_SECONDS = 10


def check_folder(folder: Path, made: Collection[str]) -> None:
    """The folder holds nothing but a stack's own files: a reset removes what lies there."""
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in made)
    if foreign:
        raise StackError(
            f"{folder} holds other files ({', '.join(foreign[:3])}): name an empty or a new folder "
            "in LAUREL_STACK_FOLDER."
        )


def check_ports(launches: Iterable[Launch]) -> None:
    """Every port is wanted once and free; the sentence names the taker where it can be seen."""
    wanted = [(port, launch) for launch in launches for port in (launch.port, *launch.more_ports)]
    times = Counter(port for port, _ in wanted)
    for port, launch in wanted:
        if times[port] > 1:
            both = sorted(other.name for at, other in wanted if at == port)
            raise StackError(
                f"port {port} is wanted by {' and '.join(both)}: change {launch.setting}."
            )
        if taker := listener(port):
            raise StackError(
                f"port {port} ({launch.name}) is taken by {taker}: stop it, or choose another port "
                f"with {launch.setting}."
            )


def check_given(settings: Settings) -> None:
    """Servers whose addresses were given answer, and MongoDB is a replica set."""
    if not programs.starts_kafka(settings):
        admin = AdminClient({"bootstrap.servers": settings.kafka_servers, "log_level": 0})
        try:
            admin.list_topics(timeout=GIVEN_TIMEOUT_SECONDS)
        except KafkaException as error:
            raise StackError(
                f"Kafka at {settings.kafka_servers} (LAUREL_KAFKA_SERVERS) does not answer."
            ) from error
    if not programs.starts_mongod(settings):
        _check_given_mongo(settings.mongo_url)


def _check_given_mongo(url: str) -> None:
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(
            url, serverSelectionTimeoutMS=GIVEN_TIMEOUT_SECONDS * 1000
        )
        with client:
            hello = client.admin.command("hello")
    except PyMongoError as error:
        raise StackError("MongoDB at LAUREL_MONGO_URL does not answer.") from error
    if "setName" not in hello:
        raise StackError(
            "MongoDB at LAUREL_MONGO_URL is no replica set, which transactions need: "
            "start it with --replSet and name it in the URL (?replicaSet=…)."
        )
