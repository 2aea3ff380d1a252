"""The read API on a real mongod, at a fixed time, with nothing stored yet."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from starlette.testclient import TestClient

from deploy.local.servers import Servers
from services.query.app import create_app
from services.query.repository import create_card_indexes
from shared.runtime.ports import Document
from shared.runtime.settings import Settings
from tests.query.given import OWNERS, SERVICES, Given

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
KEYS = "admin-key:demo:admin,read-key:demo:read,other-key:other:admin"


@pytest.fixture(scope="session")
def stack(servers: Servers) -> Settings:
    """Databases of these tests' own; no topics, since reads need none."""
    return Settings(
        namespace=f"query-{uuid4().hex[:6]}",
        mongo_url=servers.mongo_url,
        kafka_servers=servers.kafka_servers,
        keys=SecretStr(KEYS),
    )


@pytest.fixture(scope="session")
def mongo(stack: Settings) -> Iterator[MongoClient[Document]]:
    """Made once with its indexes: making databases takes longer than a test."""
    with MongoClient[Document](stack.mongo_url, w="majority", journal=True) as client:
        create_card_indexes(client, stack)
        for owner in OWNERS:
            decisions = client[stack.database(owner)].decisions
            decisions.create_index([("tenant", 1), ("customer", 1), ("_id", 1)])
        yield client
        for name in SERVICES:
            client.drop_database(stack.database(name))


@pytest.fixture
def given(mongo: MongoClient[Document], stack: Settings) -> Given:
    for name in SERVICES:
        database = mongo[stack.database(name)]
        for collection in database.list_collection_names():
            if database[collection].find_one({}, {"_id": 1}):
                database[collection].delete_many({})
    return Given(mongo, stack)


@pytest.fixture(scope="session")
def api(stack: Settings, mongo: MongoClient[Document]) -> Iterator[TestClient]:
    """A client with a key that may only read. It stays: the service keeps nothing but programs,
    and those by versions, of which each is given once."""
    with TestClient(create_app(stack, lambda: NOW), raise_server_exceptions=False) as client:
        client.headers["authorization"] = "Bearer read-key"
        yield client
