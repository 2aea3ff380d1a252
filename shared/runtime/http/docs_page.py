"""`/docs`: the API's description to read and try, from files on this machine, never a CDN."""

from collections.abc import Callable, Mapping
from html import escape
from importlib.util import find_spec
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

POLICY = {
    # Swagger UI draws some of its icons from data: URLs in its style sheet.
    "content-security-policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}
_ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body></html>
"""
_START = """SwaggerUIBundle({
  dom_id: "#docs", url: "openapi.json", deepLinking: true,
  persistAuthorization: true, validatorUrl: null,
});
"""


def docs_routes(title: str, openapi: Callable[[], Mapping[str, object]]) -> list[Route]:
    """`/openapi.json`, `/docs` and what the page loads; none needs a credential."""
    page = _PAGE.format(title=escape(title))

    async def show(_: Request) -> Response:
        return HTMLResponse(page, headers=POLICY)

    async def describe(_: Request) -> Response:
        return Response(msgspec.json.encode(openapi()), media_type="application/json")

    return [
        Route("/openapi.json", describe),
        Route("/docs", show),
        Route("/docs/start.js", _start),
        *(Route(f"/docs/{name}", _asset(name, kind)) for name, kind in _ASSETS.items()),
    ]


async def _start(_: Request) -> Response:
    return Response(_START, media_type="text/javascript", headers=POLICY)


def _asset(name: str, media_type: str) -> Callable[[Request], FileResponse]:
    path = _folder() / name

    def send(_: Request) -> FileResponse:
        headers = {**POLICY, "cache-control": "public, max-age=86400"}
        return FileResponse(path, media_type=media_type, headers=headers)

    return send


def _folder() -> Path:
    """Of the package that ships Swagger UI's files; its code is not imported."""
    spec = find_spec("fastapi_offline")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("fastapi-offline is not installed: run `make install`")
    return Path(spec.submodule_search_locations[0]) / "static"
