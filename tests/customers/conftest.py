"""A desk of customers with a program that allows no anonymous events."""

from collections.abc import Iterator

import pytest

from services.customers.app import build
from shared.runtime.settings import Settings
from tests.points.desk import Desk


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    made = Desk(settings, "customers", build)
    made.configure("settings", "settings", {"default_account": "main"})
    yield made
    made.close()
