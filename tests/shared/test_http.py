"""What every HTTP service shares: problems, credentials, strict bodies, paths, probes, docs."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
import structlog
import uvicorn
from fastapi import APIRouter, Depends, FastAPI
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from shared.runtime.http import (
    Credentials,
    Page,
    Problem,
    install,
    make_cursor,
    parameters,
    read_cursor,
    read_json,
    strict_json,
)
from shared.runtime.http.docs_page import POLICY
from shared.runtime.settings import SettingsError

KEYS = Credentials.parse("local-admin-key:demo:admin, local-read-key:demo:read,a:b:other:admin")
ADMIN = {"authorization": "Bearer local-admin-key"}
READER = {"authorization": "Bearer local-read-key"}
BODY_MAX = 100


class Colours(Page):
    """A list's parameters."""

    sort: Literal["name", "-name"] = "name"


class Paint(BaseModel):
    """A body that FastAPI reads by itself."""

    litres: int


async def show(request: Request) -> Response:
    return JSONResponse({"id": request.path_params["id"]})


async def listed(request: Request) -> Response:
    return JSONResponse(parameters(request, Colours).model_dump())


async def echo(request: Request) -> Response:
    credential = KEYS.writer(request)
    body = await read_json(request, BODY_MAX)
    return JSONResponse({"name": credential.name, "body": str(body)})


async def broken(_: Request) -> Response:
    raise RuntimeError("what the client sent: 4111-1111")


async def busy(_: Request) -> Response:
    raise Problem("unavailable", "The queue is full.")


async def away(_: Request) -> Response:
    raise ConnectionError("mongod")


async def ready() -> list[str]:
    return []


async def unready() -> list[str]:
    return ["mongo"]


ROUTES: list[tuple[str, Any, list[str]]] = [
    ("/things/{id:segment}", show, ["GET"]),
    ("/things/{id:segment}/parts", show, ["GET"]),
    ("/colours", listed, ["GET"]),
    ("/echo", echo, ["POST"]),
    ("/echo", listed, ["GET"]),
    ("/broken", broken, ["GET"]),
    ("/busy", busy, ["GET"]),
    ("/away", away, ["GET"]),
]


def starlette_app() -> Starlette:
    app = Starlette(routes=[Route(path, does, methods=methods) for path, does, methods in ROUTES])
    install(
        app,
        title="Test",
        ready=ready,
        openapi=lambda: {"openapi": "3.1.0"},
        unavailable=(ConnectionError,),
    )
    return app


def fastapi_app() -> FastAPI:
    app = FastAPI(title="Test", openapi_url=None)
    router = APIRouter()
    for path, does, methods in ROUTES:
        router.add_api_route(path, does, methods=methods, response_model=None)
    app.include_router(router)

    @app.post("/paint")
    def paint(body: Paint, _: Annotated[object, Depends(KEYS.writer)]) -> int:
        return body.litres

    install(app, title="Test", ready=unready, openapi=app.openapi, unavailable=(ConnectionError,))
    return app


@pytest.fixture(params=[starlette_app, fastapi_app], ids=["starlette", "fastapi"])
def client(request: pytest.FixtureRequest) -> Iterator[TestClient]:
    with TestClient(request.param(), follow_redirects=False) as client:
        yield client


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A real uvicorn: it decodes paths and frames bodies as production does."""
    config = uvicorn.Config(starlette_app(), port=0, log_config=None, ws="none")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    socket.listen()  # who connects before the server runs waits for it
    thread = threading.Thread(target=server.run, args=([socket],))
    thread.start()
    yield socket.getsockname()[1]
    server.should_exit = True
    thread.join(10)


def code_of(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert {"type", "title", "detail"} <= set(body)
    return answer.status_code, body["code"]


@pytest.mark.parametrize(
    ("method", "path", "then"),
    [
        pytest.param("GET", "/nowhere", (404, "not_found"), id="an unknown path"),
        pytest.param("GET", "/colours/", (404, "not_found"), id="a slash too many"),
        pytest.param("GET", "/things/%FF", (404, "not_found"), id="a path that is no UTF-8"),
        pytest.param("DELETE", "/echo", (405, "method_not_allowed"), id="a wrong method"),
        pytest.param("GET", "/broken", (500, "internal"), id="a bug"),
        pytest.param("GET", "/busy", (503, "unavailable"), id="a full queue"),
        pytest.param("GET", "/away", (503, "unavailable"), id="a server that is away"),
        pytest.param("POST", "/echo", (401, "unauthorized"), id="no credential"),
        pytest.param("GET", "/colours?hue=1", (400, "parameter_unknown"), id="unknown parameter"),
        pytest.param("GET", "/colours?limit=0", (400, "parameter_invalid"), id="limit too small"),
        pytest.param("GET", "/colours?limit=1001", (400, "parameter_invalid"), id="and too large"),
        pytest.param("GET", "/colours?limit=1_0", (400, "parameter_invalid"), id="and odd"),
        pytest.param("GET", "/colours?sort=hue", (400, "parameter_invalid"), id="unknown order"),
        pytest.param("GET", "/colours?limit=1&limit=2", (400, "parameter_invalid"), id="twice"),
    ],
)
def test_every_error_is_a_problem(
    client: TestClient, method: str, path: str, then: tuple[int, str]
) -> None:
    answer = client.request(method, path)
    assert code_of(answer) == then
    assert ("retry-after" in answer.headers) == (then[0] == 503)


def test_a_wrong_method_is_told_all_the_right_ones(client: TestClient) -> None:
    assert client.delete("/echo").headers["allow"].replace("HEAD, ", "") == "GET, POST"


def test_a_bug_is_logged_without_what_was_sent(client: TestClient) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = client.get("/broken")
    assert logs[0]["reference"] == answer.json()["reference"]
    assert logs[0]["error"] == "RuntimeError"
    assert "4111" not in str(logs) + answer.text


@pytest.mark.parametrize(
    ("headers", "then"),
    [
        pytest.param({}, 401, id="none"),
        pytest.param({"authorization": "Bearer local-admin-keY"}, 401, id="a wrong key"),
        pytest.param({"authorization": "Bearer "}, 401, id="an empty key"),
        pytest.param({"authorization": "Basic local-admin-key"}, 401, id="another scheme"),
        pytest.param([("authorization", "Bearer local-admin-key")] * 2, 401, id="two headers"),
        pytest.param(READER, 403, id="a key that may only read"),
        pytest.param(ADMIN, 200, id="a key that may write"),
        pytest.param({"authorization": "bearer  a:b"}, 200, id="a key with a colon"),
    ],
)
def test_who_may_write(client: TestClient, headers: Any, then: int) -> None:
    answer = client.post("/echo", headers=headers, content=b"{}")
    assert answer.status_code == then
    assert answer.headers.get("www-authenticate") == ("Bearer" if then == 401 else None)
    assert "local" not in answer.text


@pytest.mark.parametrize(
    "keys", ["", "k", "k:demo", ":demo:admin", "k:De mo:admin", "k:demo:root", "k:a:read,k:b:read"]
)
def test_wrong_keys_stop_the_start(keys: str) -> None:
    with pytest.raises(SettingsError):
        Credentials.parse(keys)


NOT_JSON = (400, "not_json", None)


@pytest.mark.parametrize(
    ("body", "then"),
    [
        pytest.param(b"", NOT_JSON, id="nothing"),
        pytest.param(b"{'a': 1}", NOT_JSON, id="single quotes"),
        pytest.param(b'{"a": 1} x', NOT_JSON, id="something behind it"),
        pytest.param(b'{"a": NaN}', NOT_JSON, id="NaN"),
        pytest.param(b"[Infinity]", NOT_JSON, id="Infinity"),
        pytest.param(b'"\xff"', NOT_JSON, id="bad UTF-8"),
        pytest.param(b'{"\xff": 1}', NOT_JSON, id="bad UTF-8 in a name"),
        pytest.param(b"\xef\xbb\xbf{}", NOT_JSON, id="a byte order mark"),
        pytest.param(b'"\\ud800 and more text"', NOT_JSON, id="half a surrogate pair"),
        pytest.param(b'"\\udc00"', NOT_JSON, id="the other half"),
        pytest.param(b'"a\nb"', NOT_JSON, id="a bare control character"),
        pytest.param(b'{"a": 1, "a": 1}', NOT_JSON, id="a name twice"),
        pytest.param(b'{"a": 1, "\\u0061"\n:2}', NOT_JSON, id="a name twice, spelt differently"),
        pytest.param(b'[{"b": [{"a": {}, "a" : 1}]}]', NOT_JSON, id="a name twice, far below"),
        pytest.param(b'{"x": ":", "a": 1, "a" :2}', NOT_JSON, id="a name twice, made up for"),
        pytest.param(b"[" * 33 + b"]" * 33, (422, "body_invalid", ""), id="33 levels"),
        pytest.param(b"[" * 99_999, (422, "body_invalid", ""), id="very many levels"),
        pytest.param(b'{"a": ["%s"]}' % (b"x" * 65_537), (422, "body_invalid", "/a/0"), id="long"),
        pytest.param(b'"\\"%s"' % (b"x" * 65_536), (422, "body_invalid", ""), id="long, escaped"),
        pytest.param(b'{"%s": 1}' % (b"x" * 65_537), (422, "body_invalid", ""), id="a long name"),
        pytest.param(b"[0, 9007199254740992]", (422, "body_invalid", "/1"), id="2^53"),
        pytest.param(b'{"a/b": -9007199254740992}', (422, "body_invalid", "/a~1b"), id="-2^53"),
        pytest.param(b"[1e16]", (422, "body_invalid", "/0"), id="2^53 with an exponent"),
        pytest.param(b"[1E-9999999]", (422, "body_invalid", "/0"), id="megabytes if written out"),
        pytest.param(b"[1e99999999999999999999]", (422, "body_invalid", ""), id="huge exponent"),
        pytest.param(b"1" * 9_999, (422, "body_invalid", ""), id="thousands of digits"),
    ],
)
def test_what_is_no_strict_json(body: bytes, then: tuple[int, str, str | None]) -> None:
    with pytest.raises(Problem) as caught:
        strict_json(body)
    answer = json.loads(bytes(caught.value.response().body))
    found = answer["errors"][0]["pointer"] if "errors" in answer else None
    assert (answer["status"], answer["code"], found) == then


@pytest.mark.parametrize(
    ("body", "then"),
    [
        pytest.param(b' {"a": [1, true, null]}\n', {"a": [1, True, None]}, id="an object"),
        pytest.param(b"[1.10, 1e2]", [Decimal("1.10"), Decimal(100)], id="exact numbers"),
        pytest.param(b"9007199254740991", 2**53 - 1, id="the largest number"),
        pytest.param(b"[" * 32 + b"]" * 32, None, id="32 levels"),
        pytest.param(b'"%s"' % (b"x" * 65_536), "x" * 65_536, id="the longest string"),
        pytest.param(b'{"\\"a\\":": "\\\\", "a": ":"}', {'"a":': "\\", "a": ":"}, id="quotes"),
        pytest.param(b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}], id="a name in two objects"),
        pytest.param(b'"4111111111111111111"', "4111111111111111111", id="digits in a string"),
    ],
)
def test_what_is_strict_json(body: bytes, then: object) -> None:
    assert then is None or strict_json(body) == then


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('":\\ a1é'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('":\\ a'), inner),
    max_leaves=12,
)


@given(ANY_JSON, st.sampled_from([None, 1]))
@example({'":': '":', " ": ":"}, None)
def test_json_without_repeats_is_taken_as_it_is(value: object, indent: int | None) -> None:
    assert strict_json(json.dumps(value, indent=indent).encode()) == value


@given(ANY_JSON, ANY_JSON, st.sampled_from([b"", b" "]))
def test_a_repeated_name_is_always_found(first: object, second: object, blank: bytes) -> None:
    inner = b'{"a"%b:%b,"a":%b}' % (blank, json.dumps(first).encode(), json.dumps(second).encode())
    with pytest.raises(Problem, match="same member"):
        strict_json(b"[" + inner + b"]")


@pytest.mark.parametrize(
    ("path", "then"),
    [
        pytest.param("/things/a%2Fb", "a/b", id="a slash"),
        pytest.param("/things/a%2Fb/parts", "a/b", id="a slash, with more behind it"),
        pytest.param("/things/a%252Fb", "a%2Fb", id="a percent sign"),
        pytest.param("/things/%C3%A9%20%3F", "é ?", id="letters, a blank, a question mark"),
        pytest.param("/things/a%2Fb?x=%2F", "a/b", id="a query behind it"),
        pytest.param("/things/a/b", None, id="two segments"),
    ],
)
def test_an_id_is_one_segment(port: int, client: TestClient, path: str, then: str | None) -> None:
    real = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    real.request("GET", path)
    answers = [json.loads(real.getresponse().read()), client.get(path).json()]
    assert [answer.get("id") for answer in answers] == [then, then]


def test_a_body_over_the_limit_is_refused_before_it_is_read(port: int) -> None:
    real = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    real.putrequest("POST", "/echo")
    real.putheader("authorization", ADMIN["authorization"])
    real.putheader("content-length", str(2**40))
    real.endheaders()
    assert real.getresponse().status == 413


def test_a_body_without_a_stated_length_is_counted(port: int) -> None:
    # One write for everything: an answer before the end closes the connection under later ones.
    head = f"POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: {ADMIN['authorization']}\r\n"
    for size, status in ((BODY_MAX - 2, b"200"), (BODY_MAX, b"413")):
        body = b'"' + b"x" * size + b'"'
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as real:
            real.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)
            assert real.recv(64).split()[1] == status


def test_a_body_that_fastapi_reads_is_refused_with_pointers() -> None:
    with TestClient(fastapi_app()) as client:
        answer = client.post("/paint", json={"litres": "x"}, headers=ADMIN)
        assert code_of(answer) == (422, "body_invalid")
        assert answer.json()["errors"][0]["pointer"] == "/litres"


def test_probes_metrics_and_docs_need_no_credential(client: TestClient) -> None:
    assert client.get("/livez").status_code == 200
    assert client.get("/metrics").text.startswith("# HELP")
    assert client.get("/openapi.json").json()["openapi"].startswith("3.1")


def test_readiness_says_what_is_missing() -> None:
    with TestClient(starlette_app()) as client:
        assert client.get("/readyz").json() == {"status": "ready"}
    with TestClient(fastapi_app()) as client:
        assert code_of(answer := client.get("/readyz")) == (503, "unavailable")
        assert answer.json()["missing"] == ["mongo"]


def test_the_docs_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["content-security-policy"] == POLICY["content-security-policy"]
    assert "//" not in page.text.replace("</", "")
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
        assert f"docs/{name}" in page.text
        assert client.get(f"/docs/{name}").status_code == 200


def test_a_cursor_is_good_for_its_list_only() -> None:
    cursor = make_cursor(["b", 7], "demo", "accounts", {"q": "x"})
    assert read_cursor(cursor, tuple[str, int], "demo", "accounts", {"q": "x"}) == ("b", 7)
    with pytest.raises(Problem) as caught:
        read_cursor(cursor, tuple[str, int], "other", "accounts", {"q": "x"})
    assert caught.value.code == "cursor_mismatch"


@pytest.mark.parametrize("rubbish", ["x", "é", "W10", "eyJhIjoxfQ", make_cursor([7, 7], "demo")])
def test_a_cursor_that_no_list_gave_out_is_refused(rubbish: str) -> None:
    with pytest.raises(Problem) as caught:
        read_cursor(rubbish, tuple[str, int], "demo")
    assert caught.value.code == "parameter_invalid"
