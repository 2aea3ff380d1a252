"""Where a source stands, and that a later day sends the same events."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from cli import bookmark, shopping
from cli.bookmark import Bookmark
from cli.delivery import file_source, shopping_source
from cli.sending import Sending

SENDING = Sending("http://127.0.0.1:1", "key")


def test_the_first_load_writes_down_by_how_much_the_times_move(tmp_path: Path) -> None:
    source = shopping_source(tmp_path, SENDING, 10, None)
    weeks = bookmark.read(source.path).weeks
    assert weeks is not None
    last = shopping.LAST_BASKET + timedelta(weeks=weeks)
    assert timedelta() <= datetime.now(UTC) - last < timedelta(weeks=1, minutes=5)


@pytest.mark.parametrize("weeks", [400, 450])
def test_a_load_of_another_day_moves_the_times_as_the_first_one_did(
    tmp_path: Path, weeks: int
) -> None:
    path = bookmark.place(tmp_path, "shopping", SENDING.url, SENDING.key)
    bookmark.write(path, Bookmark(sent=5, promised=5, weeks=weeks))
    source = shopping_source(tmp_path, SENDING, 10, None)
    [basket] = islice(source.lines, shopping.HOUSEHOLDS, shopping.HOUSEHOLDS + 1)
    moved = datetime.fromisoformat(msgspec.json.decode(basket.body)["time"])
    assert moved - shopping.FIRST_BASKET == timedelta(weeks=weeks)


@pytest.mark.parametrize(
    ("baskets", "events"), [(10, 2_479), (155_848, 158_317), (999_999, 158_317)]
)
def test_all_enrolments_come_before_the_baskets_that_were_asked_for(
    tmp_path: Path, baskets: int, events: int
) -> None:
    assert shopping_source(tmp_path, SENDING, baskets, None).total == events


def test_a_file_that_changed_is_another_source(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b'{"customer":"c-1"}')
    before = file_source(tmp_path, SENDING, file, None)
    file.write_bytes(b'{"customer":"c-1"}\n{"customer":"c-2"}')
    after = file_source(tmp_path, SENDING, file, None)
    assert before.path != after.path
    assert len(list(after.lines)) == 2
