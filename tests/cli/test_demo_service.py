"""The demo on real services: right the first time, only repeats the second, and never blind."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from pymongo import MongoClient
from rich.console import Console

from cli import bookmark, demo, shopping
from cli.bookmark import Bookmark
from cli.client import default_key, gateway_url
from cli.delivery import folder_of
from shared.runtime.settings import Settings
from tests.running import Stack

BASKETS = 300
HOUSEHOLD = "demo/household-900"


@pytest.fixture
def place(stack: Stack, tmp_path: Path) -> Settings:
    """What `laurel demo` would read from the environment."""
    return stack.settings.model_copy(
        update={"query_url": stack.query, "stack_folder": str(tmp_path / "stack")}
    )


@pytest.fixture
def mongo(place: Settings) -> Iterator[MongoClient[dict[str, object]]]:
    with MongoClient[dict[str, object]](place.mongo_url) as client:
        yield client


def _demo(place: Settings, baskets: int) -> tuple[int, str]:
    console = Console(file=StringIO(), width=120)
    code = demo.run(place, baskets, console)
    return code, str(console.file.getvalue())  # type: ignore[attr-defined]


def _loaded_a_fortnight_ago(place: Settings) -> Path:
    """The bookmarks' folder, as the first load of that day would have left it."""
    folder = folder_of(place)
    path = bookmark.place(folder, "shopping", gateway_url(place), default_key(place))
    weeks = shopping.weeks_until(datetime.now(UTC)) - 2
    bookmark.write(path, Bookmark(weeks=weeks))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_demo_is_exact_repeatable_and_finds_one_changed_balance(
    place: Settings, mongo: MongoClient[dict[str, object]]
) -> None:
    folder = _loaded_a_fortnight_ago(place)
    code, page = _demo(place, BASKETS)
    assert code == 0, page
    assert "0 differences: 2,469 households, 300 checkouts" in page
    assert "2,769 new, 0 repeats" in page

    states = mongo[place.database("points")].states
    states.update_one({"_id": HOUSEHOLD}, {"$inc": {"accounts.main.score": 1}})
    code, page = _demo(place, BASKETS // 3)
    assert code == 1
    assert "household-900: score is 1, the data says 0" in page
    assert "0 new, 2,569 repeats" in page

    states.update_one({"_id": HOUSEHOLD}, {"$inc": {"accounts.main.score": -1}})
    shutil.rmtree(folder)  # the events themselves tell by how much the times were moved
    code, page = _demo(place, BASKETS + 50)
    assert code == 0, page
    assert "0 differences: 2,469 households, 350 checkouts" in page
    assert "50 new, 2,769 repeats" in page
