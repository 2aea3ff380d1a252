"""Events from files: what is sent, under which ids, and what is said of a broken line."""

import gzip
from pathlib import Path

import msgspec
import pytest

from cli import sources
from cli.shopping import Line
from cli.sources import BadSourceError

NDJSON = b'{"id":"e-1","customer":"c-1","action":"opt_in"}\n\n{"id":"e-2","customer":"c-2"}\n'
ARRAY = (
    b'\n [\n {"id":"e-1","customer":"c-1",\n  "action":"opt_in"}, {"id":"e-2","customer":"c-2"}]'
)


def _read(path: Path) -> list[Line]:
    return list(sources.events(path, sources.fingerprint(path)))


def _file(folder: Path, content: bytes, name: str = "events") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("content", [NDJSON, ARRAY], ids=["NDJSON", "array"])
def test_a_file_gives_its_events_in_order(tmp_path: Path, content: bytes, packed: bool) -> None:
    path = _file(tmp_path, gzip.compress(content) if packed else content)
    found = _read(path)
    assert [line.customer for line in found] == ['"c-1"', '"c-2"']
    assert [msgspec.json.decode(line.body)["id"] for line in found] == ["e-1", "e-2"]
    assert not any(b"\n" in line.body for line in found)


def test_numbers_are_sent_as_they_stand(tmp_path: Path) -> None:
    path = _file(tmp_path, b'[{"id":"e-1","customer":"c-1","data":{"total":12.50,"points":1e400}}]')
    assert b'"total":12.50,"points":1e400' in _read(path)[0].body


@pytest.mark.parametrize("without", [b'{"customer":"c-1"}', b'{"id":null,"customer":"c-1"}'])
def test_an_event_without_id_gets_the_same_one_every_time(tmp_path: Path, without: bytes) -> None:
    path = _file(tmp_path, without + b"\n" + without)
    packed = _file(tmp_path, gzip.compress(path.read_bytes()), "packed")
    ids = [msgspec.json.decode(line.body)["id"] for line in _read(path)]
    assert len(set(ids)) == 2
    assert [msgspec.json.decode(line.body)["id"] for line in _read(packed)] == ids


def test_another_file_gives_other_ids(tmp_path: Path) -> None:
    first = _file(tmp_path, b'{"customer":"c-1"}', "monday")
    second = _file(tmp_path, b'{"customer":"c-1"}\n{"customer":"c-2"}', "tuesday")
    assert _read(first)[0].body != _read(second)[0].body


def test_a_broken_line_is_told_with_its_place_and_the_next_ones_are_sent(tmp_path: Path) -> None:
    broken, whole = _read(_file(tmp_path, b'{"customer":\n{"id":"e-2","customer":"c-2"}'))
    assert "events, event 1" in broken.problem
    assert whole.problem == ""


@pytest.mark.parametrize("line", [b"[" * 5000, b'"text"', b"\xff\xfe{}", b"7"])
def test_whatever_a_line_is_nothing_breaks(tmp_path: Path, line: bytes) -> None:
    path = _file(tmp_path, b'{"id":"e-1","customer":"c-1"}\n' + line)
    assert _read(path)[1].problem


def test_a_broken_array_is_refused_whole(tmp_path: Path) -> None:
    with pytest.raises(BadSourceError, match="JSON array"):
        _read(_file(tmp_path, b'[{"id":"e-1"},'))


def test_an_empty_file_holds_no_events(tmp_path: Path) -> None:
    assert _read(_file(tmp_path, b"\n\n")) == []


def test_a_number_as_customer_is_left_to_the_gateway_to_refuse(tmp_path: Path) -> None:
    assert _read(_file(tmp_path, b'{"id":"e-1","customer":7}'))[0].problem == ""
