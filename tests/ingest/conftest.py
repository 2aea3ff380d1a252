"""The gateway and its inbox, for tests that take customers of their own."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from pydantic import SecretStr
from pymongo import MongoClient

from deploy.local.servers import Servers
from shared.runtime.kafka import create_topics
from shared.runtime.mongo import open_client
from shared.runtime.settings import Settings
from tests.ingest.journal_desk import Desk
from tests.ingest.serving import Inbox, serving


@pytest.fixture(scope="session")
def gateway_settings(servers: Servers) -> Iterator[Settings]:
    """One namespace for all tests that need no topic of their own."""
    made = Settings(
        namespace=f"gateway-{uuid4().hex[:6]}",
        kafka_servers=servers.kafka_servers,
        mongo_url=servers.mongo_url,
        keys=SecretStr(
            "local-admin-key:demo:admin,local-read-key:demo:read,local-other-key:other:admin"
        ),
        content_secret=SecretStr("a-fixed-secret-of-the-tests-0001"),
        query_url="https://query.example",
    )
    create_topics(made)
    yield made
    with MongoClient[Any](made.mongo_url) as client:
        for name in client.list_database_names():
            if name.startswith(f"{made.namespace}_"):
                client.drop_database(name)


@pytest.fixture(scope="session")
def gateway(gateway_settings: Settings) -> Iterator[httpx2.Client]:
    """The gateway, shared by tests that take customers of their own."""
    with serving(gateway_settings) as client:
        yield client


@pytest.fixture
def inbox(gateway: httpx2.Client, gateway_settings: Settings) -> Iterator[Inbox]:
    """What arrives from now on."""
    reader = Inbox(gateway_settings)
    yield reader
    reader.close()


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    with open_client(settings) as client:
        made = Desk(settings, client)
        made.take_over(*range(settings.partitions))
        yield made
