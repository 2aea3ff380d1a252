"""Namespaces on the suite's servers: topics exist, databases are empty, both go at the end."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from confluent_kafka.admin import AdminClient
from pydantic import SecretStr
from pymongo import MongoClient

from deploy.local.servers import Servers
from shared.runtime.kafka import create_topics
from shared.runtime.settings import Settings

KEYS = "local-admin-key:demo:admin,local-read-key:demo:read,local-other-key:other:admin"
NUMBERS = itertools.count(1)
RUN = uuid4().hex[:6]
"""Names beside those of another run on the same servers."""


@contextmanager
def namespace_on(servers: Servers) -> Iterator[Settings]:
    """Settings of a namespace that nobody else uses."""
    made = Settings(
        namespace=f"t{next(NUMBERS)}-{RUN}",
        kafka_servers=servers.kafka_servers,
        mongo_url=servers.mongo_url,
        keys=SecretStr(KEYS),
        content_secret=SecretStr("a-fixed-secret-of-the-tests-0001"),
        virtual_clock=True,
    )
    create_topics(made)
    yield made
    _forget(made)


def _forget(settings: Settings) -> None:
    """Hundreds of tests' topics and databases would slow down the later ones."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_servers})
    topics = admin.list_topics(timeout=10).topics
    ours = [name for name in topics if name.startswith(f"{settings.namespace}.")]
    if ours:
        for future in admin.delete_topics(ours).values():
            future.result(timeout=10)
    with MongoClient[dict[str, object]](settings.mongo_url) as client:
        for name in client.list_database_names():
            if name.startswith(f"{settings.namespace}_"):
                client.drop_database(name)
