"""Events from files: NDJSON or a JSON array, plain or gzipped."""

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import msgspec

from cli.problems import CommandError
from cli.shopping import Line

_GZIP = b"\x1f\x8b"
_PART_BYTES = 1024 * 1024


class BadSourceError(CommandError):
    """The file does not hold events; the text names the place."""


_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def fingerprint(path: Path) -> str:
    """Of what the file holds, packed or not: a file that changed is another source."""
    digest = hashlib.sha256()
    with _opened(path) as file:
        while part := file.read(_PART_BYTES):
            digest.update(part)
    return digest.hexdigest()


def events(path: Path, print_of_file: str) -> Iterator[Line]:
    """The file's events in order, each as it stands there.

    An event without an id gets one from the file's content and its place in it, so that sending the
    same file again doubles nothing. A line that is no JSON object comes as a `problem`; an array
    that is broken anywhere raises `BadSourceError`.
    """
    with _opened(path) as file:
        for number, raw in enumerate(_raw_events(file), 1):
            yield _line(raw, number, path, print_of_file)


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return cast("IO[bytes]", gzip.open(path)) if packed else path.open("rb")


def _raw_events(file: IO[bytes]) -> Iterator[bytes]:
    lines = (line for line in map(bytes.strip, file) if line)
    first = next(lines, b"")
    if first.startswith(b"["):
        yield from _array(first + b"\n".join(lines))
        return
    if first:
        yield first
    yield from lines


def _array(text: bytes) -> Iterator[bytes]:
    try:
        items = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadSourceError(f"the file begins like a JSON array, but: {error}") from error
    for item in items:  # NDJSON takes one line each, also where the array has several
        yield msgspec.json.format(bytes(item), indent=-1)


def _line(raw: bytes, number: int, path: Path, print_of_file: str) -> Line:
    try:
        members = _members.decode(raw)
        customer, has_id = _text(members.get("customer")), _text(members.get("id"))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return Line("", b"", f"{path}, event {number}: {error}")
    if has_id:
        return Line(customer, raw)
    made = f"file-{print_of_file[:16]}-{number}"
    return Line(customer, msgspec.json.encode({**members, "id": made}))


def _text(member: msgspec.Raw | None) -> str:
    """As it is written: what the gateway will refuse (a number as customer) needs a lane too."""
    written = bytes(member or b"null").decode()
    return "" if written == "null" else written
