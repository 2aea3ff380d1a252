"""One stack for all that read it: a first event has been through it."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from deploy.local.programs import SERVICES
from deploy.local.servers import Servers
from tests.namespaces import namespace_on
from tests.running import Stack, stack_of

ADMIN = {"authorization": "Bearer local-admin-key"}
ACCOUNT = {
    "name": "Main points",
    "currency_label": "pts",
    "init_on_opt_in": True,
    "earn": {"percent": 10},
    "burn": {"rates": [{"points": 5, "amount": "1.00", "currency": "EUR"}]},
}
CUSTOMER, PURCHASE = "c-1001", "till-7-000123"
"""The ids with which the OpenAPI documents show their paths."""


@pytest.fixture(scope="module")
def used(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Every service, with an account, a customer, a purchase and a refusal."""
    with (
        namespace_on(servers) as settings,
        stack_of(settings, tmp_path_factory.mktemp("stack")) as made,
    ):
        for service in SERVICES:
            made.add(service.name)
        made.start()
        accounts = f"{made.program}/v1/program/accounts/main"
        httpx2.put(accounts, json=ACCOUNT, headers=ADMIN).raise_for_status()
        httpx2.post(f"{accounts}/activate", headers=ADMIN).raise_for_status()
        submitted(made, {"id": "join-1001", "customer": CUSTOMER, "action": "opt_in"})
        submitted(made, purchase())
        yield made


def purchase() -> dict[str, Any]:
    """A checkout of 120 euros."""
    items = [{"product_id": "p1", "quantity": 2, "price": "60.00"}]
    data = {"transaction_id": "T-1", "total": "120.00", "currency": "EUR", "items": items}
    return {"id": PURCHASE, "customer": CUSTOMER, "action": "checkout", "data": data}


def submitted(stack: Stack, event: dict[str, Any]) -> dict[str, Any]:
    """The event's outcome or problem."""
    prefer = {"prefer": "wait=30"}
    sent = httpx2.post(f"{stack.gateway}/v1/events", json=event, headers=ADMIN | prefer, timeout=60)
    answer: dict[str, Any] = sent.json()
    return answer
