"""The program service on the suite's servers; each test has a tenant, so a program, of its own.

The query service that it asks runs beside it; nothing else does, so every partition stands still.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from starlette.testclient import TestClient

from deploy.local.servers import Servers
from services.program.app import create_app
from shared.runtime.settings import Settings
from tests.leaders import create_ready_topics
from tests.program.asked import query_serving

TENANTS = 200
ACCOUNT = {"name": "Main points", "currency_label": "pts"}


@dataclass(frozen=True)
class Client:
    """Calls the service as one tenant's administrator."""

    http: TestClient
    tenant: str

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        headers.setdefault("authorization", f"Bearer {self.tenant}-key")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.http.request(
            method,
            f"/v1/program/{path}",
            headers=sent,
            **(content if body is not None else {}),
        )


@pytest.fixture(scope="session")
def program_settings(servers: Servers) -> Iterator[Settings]:
    tenants = [f"t{number}" for number in range(TENANTS)]
    keys = ",".join(f"{tenant}-key:{tenant}:admin" for tenant in tenants)
    made = Settings(
        namespace=f"program-{uuid4().hex[:6]}",
        mongo_url=servers.mongo_url,
        kafka_servers=servers.kafka_servers,
        keys=SecretStr(f"{keys},t0-read-key:t0:read"),
    )
    create_ready_topics(made)
    with query_serving(made) as url:
        yield made.model_copy(update={"query_url": url})
    with MongoClient[Any](made.mongo_url) as client:
        for service in ("program", "query"):
            client.drop_database(made.database(service))


@pytest.fixture(scope="session")
def instances(program_settings: Settings) -> Iterator[list[TestClient]]:
    """Two processes of the service, as far as the database can tell."""
    with (
        TestClient(create_app(program_settings)) as first,
        TestClient(create_app(program_settings)) as second,
    ):
        yield [first, second]


@pytest.fixture(scope="session")
def tenants() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"t{next(numbers)}"


@pytest.fixture
def call(instances: list[TestClient], tenants: Callable[[], str]) -> Client:
    return Client(instances[0], tenants())
