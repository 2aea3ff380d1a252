"""Ids in paths: one percent-encoded segment each, whatever characters they hold (`a%2Fb`)."""

from urllib.parse import quote, unquote, unquote_to_bytes

from starlette.convertors import CONVERTOR_TYPES, Convertor
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.runtime.http.problems import Problem


class SegmentConvertor(Convertor[str]):
    """`{id:segment}`: one segment, given to the handler as the client meant it."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """What `Segments` left encoded → the id."""
        return unquote(value)

    def to_string(self, value: str) -> str:
        """For `url_path_for`: the id as one segment."""
        return quote(value, safe="")


# An entry in a table, not work: routes look their convertors up while they are made.
CONVERTOR_TYPES["segment"] = SegmentConvertor()


class Segments:
    """Keeps `%2F` (and `%25`) encoded until a route has been chosen.

    Servers decode the whole path before routing, which makes `a%2Fb` two segments. Only a
    parameter `{…:segment}` is decoded the rest of the way.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%" in raw:
            try:
                path = "/".join(_half_decoded(one) for one in raw.partition(b"?")[0].split(b"/"))
            except UnicodeDecodeError:  # no id can be spelt like that
                await Problem("not_found").response()(scope, receive, send)
                return
            scope = {**scope, "path": path}
        await self._app(scope, receive, send)


def _half_decoded(segment: bytes) -> str:
    return unquote_to_bytes(segment).decode().replace("%", "%25").replace("/", "%2F")
