"""The bookmark: what a later run may rely on, however an earlier one ended."""

from collections.abc import Iterator
from pathlib import Path

from cli import bookmark
from cli.bookmark import AHEAD, Bookmark
from cli.shopping import Line


def _lines(count: int) -> Iterator[Line]:
    return (Line("c-1", b"%d" % number) for number in range(count))


def test_a_source_that_was_never_loaded_starts_at_its_beginning(tmp_path: Path) -> None:
    assert bookmark.read(tmp_path / "none.json") == Bookmark(sent=0, promised=0, weeks=None)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "run" / "load.json"
    bookmark.write(path, Bookmark(sent=7, promised=9, weeks=460))
    assert bookmark.read(path) == Bookmark(sent=7, promised=9, weeks=460)


def test_sources_gateways_and_credentials_have_files_of_their_own(tmp_path: Path) -> None:
    places = {
        bookmark.place(tmp_path, source, gateway, key)
        for source in ("shopping", "abc")
        for gateway in ("http://a", "http://b")
        for key in ("key-1", "key-2")
    }
    assert len(places) == 8
    assert not any("key-1" in str(place) for place in places)


def test_an_event_is_handed_out_only_after_the_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "load.json"
    for index, _ in bookmark.promising(_lines(AHEAD + 5), path, Bookmark(), 0):
        assert bookmark.read(path).promised > index


def test_a_source_that_ended_promises_no_more_than_it_held(tmp_path: Path) -> None:
    mark = Bookmark()
    assert len(list(bookmark.promising(_lines(5), tmp_path / "load.json", mark, 0))) == 5
    assert mark.promised == 5


def test_an_empty_source_promises_nothing(tmp_path: Path) -> None:
    mark = Bookmark()
    assert list(bookmark.promising(_lines(0), tmp_path / "load.json", mark, 0)) == []
    assert mark.promised == 0


def test_stopped_half_way_it_promises_what_was_handed_out(tmp_path: Path) -> None:
    mark = Bookmark()
    numbered = bookmark.promising(_lines(100), tmp_path / "load.json", mark, 0)
    next(numbered)
    next(numbered)
    numbered.close()
    assert mark.promised == 2


def test_sending_the_beginning_again_forgets_nothing_of_a_longer_load(tmp_path: Path) -> None:
    mark = Bookmark(sent=50, promised=50)
    list(bookmark.promising(_lines(20), tmp_path / "load.json", mark, 0))
    assert mark.promised == 50


def test_a_resumed_source_goes_on_with_its_numbers(tmp_path: Path) -> None:
    mark = Bookmark(sent=3, promised=4)
    resumed = bookmark.promising(_lines(3), tmp_path / "load.json", mark, 3)
    assert [index for index, _ in resumed] == [3, 4, 5]
    assert mark.promised == 6
