"""A desk of points with a program: `main` earns 10 % and is the default, `credit` may owe."""

from collections.abc import Iterator

import pytest

from services.points.app import build
from shared.runtime.settings import Settings
from tests.points.desk import Desk

NAMED = {"name": "Points", "currency_label": "pts"}


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    made = Desk(settings, "points", build)
    made.configure("accounts", "main", NAMED | {"earn": {"percent": "10"}, "init_on_opt_in": True})
    made.configure("accounts", "credit", NAMED | {"negative_points": True})
    made.configure("settings", "settings", {"default_account": "main"})
    yield made
    made.close()
