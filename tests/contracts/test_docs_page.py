"""The pages at `/docs` need nothing but the service: a browser that opens them asks nobody else."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from services.ingest.openapi import description as gateway_description
from services.program.app import create_app as program_app
from services.program.description import described as described_program
from services.query.app import create_app as query_app
from services.query.app import described as described_query
from shared.runtime.http import install
from shared.runtime.settings import Settings

SETTINGS = Settings(keys=SecretStr("a-key:a-tenant:read"))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_SECONDS = 90
START_SECONDS = 20.0
DRAWN_MS = 8_000
"""Of the page's own, virtual time: what it loads within it counts."""
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--disable-default-apps", "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
"""What a browser asks for on its own behalf is not the page's doing; it finds nobody."""
BROWSER_ITSELF = "not an origin"


DESCRIPTIONS: Mapping[str, Callable[[], Mapping[str, object]]] = {
    "gateway": gateway_description,
    "program": lambda: described_program(program_app(SETTINGS)),
    "query": lambda: described_query(query_app(SETTINGS)),
}


def app_of(name: str) -> Starlette:
    """The service's pages without its start, which needs servers."""
    app = Starlette()
    install(app, title=f"Laurel: {name}", ready=_ready, openapi=DESCRIPTIONS[name])
    return app


async def _ready() -> list[str]:
    return []


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """Its address on this machine."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        assert time.monotonic() < deadline, "the page's server did not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/docs"
    server.should_exit = True
    thread.join()


@pytest.fixture(params=list(DESCRIPTIONS))
def page(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a service's page."""
    with served(app_of(request.param)) as address:
        yield address


class _Sources(HTMLParser):
    """Whatever a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def test_all_that_the_page_names_is_the_services_own(page: str) -> None:
    sources = _Sources()
    sources.feed(httpx2.get(page).text)
    local = [urljoin(page, found) for found in sources.found if not found.startswith("data:")]
    assert len(local) >= 3
    for address in local:
        assert urlsplit(address).netloc == urlsplit(page).netloc, address
        assert httpx2.get(address).status_code == 200, address


@pytest.mark.slow
def test_a_browser_draws_it_and_asks_nobody_else(page: str, tmp_path: Path) -> None:
    drawn, asked = _opened(page, tmp_path)
    assert "opblock-summary-path" in drawn, "the page shows no operation"
    assert {urlsplit(address).netloc for address in asked} == {urlsplit(page).netloc}
    paths = {urlsplit(address).path for address in asked}
    assert {"/docs", "/docs/swagger-ui-bundle.js", "/openapi.json"} <= paths


@pytest.mark.slow
def test_a_page_that_asks_somebody_else_is_found_out(tmp_path: Path) -> None:
    async def show(_: Request) -> HTMLResponse:
        return HTMLResponse('<script src="http://elsewhere.invalid/a.js"></script>')

    with served(Starlette(routes=[Route("/docs", show)])) as page:
        _, asked = _opened(page, tmp_path)
    assert "http://elsewhere.invalid/a.js" in asked


def _opened(page: str, folder: Path) -> tuple[str, list[str]]:
    """The page as a browser has drawn it, and every address that was asked for because of it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser here: {', '.join(BROWSERS)}")
    log = folder / "requests.json"
    command = [
        *(browser, *QUIET, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}"),
        *(f"--virtual-time-budget={DRAWN_MS}", "--dump-dom", page),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=BROWSER_SECONDS,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    return done.stdout, [page, *_requests(log)]


def _requests(log: Path) -> list[str]:
    """What the page made the browser load, from any network."""
    written = json.loads(log.read_bytes())
    began = written["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    events = [event for event in written["events"] if event["type"] == began]
    params = [event["params"] for event in events if "url" in event.get("params", {})]
    by_page = [one for one in params if one.get("initiator", BROWSER_ITSELF) != BROWSER_ITSELF]
    return [str(one["url"]) for one in by_page]
