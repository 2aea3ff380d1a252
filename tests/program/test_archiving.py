"""Archiving asks the query service first: what customers have on an account keeps it there."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from pymongo import MongoClient
from starlette.testclient import TestClient

from services.program.app import create_app
from services.program.domain.accounts import archive, change_status, put_account
from services.program.domain.revisions import Program, Refused, evolve
from shared.runtime.settings import Settings
from tests.program.conftest import ACCOUNT, Client
from tests.program.test_accounts import NOW, account, having

ZERO = dict.fromkeys(("score", "spent", "pending", "reserved", "expired", "spendable"), 0)
TOTALS = {"account": "other", "customers": 0, "parked": 0, **ZERO}


@pytest.fixture
def other(call: Client) -> str:
    """The path of an inactive account that is not the default one."""
    for id_ in ("main", "other"):
        assert call("PUT", f"accounts/{id_}", ACCOUNT).status_code == 201
    return "accounts/other"


@pytest.fixture
def cards(program_settings: Settings, call: Client) -> Iterator[Callable[..., None]]:
    """Puts a customer's card with balances of the account `other`."""
    with MongoClient[Any](program_settings.mongo_url) as client:
        collection = client[program_settings.database("query")]["cards"]

        def put(customer: str, **balance: int) -> None:
            key = f"{call.tenant}/{customer}"
            collection.replace_one(
                {"_id": key},
                {"tenant": call.tenant, "id": customer, "accounts": {"other": ZERO | balance}},
                upsert=True,
            )

        yield put


def status_of(call: Client) -> str:
    return str(call("GET", "accounts/other").json()["status"])


def test_an_account_that_nobody_has_anything_on_is_archived(
    call: Client, other: str, cards: Callable[..., None]
) -> None:
    cards("c-1", score=50, spent=30, expired=20)
    answer = call("POST", f"{other}/archive")
    assert (answer.status_code, answer.json()["status"]) == (200, "archived")
    assert call("POST", f"{other}/archive").json() == answer.json()


@pytest.mark.parametrize(
    "balances",
    [
        pytest.param([{"score": 5, "spendable": 5}], id="spendable"),
        pytest.param([{"pending": 5}], id="pending"),
        pytest.param([{"score": 5, "reserved": 5}], id="reserved"),
        pytest.param([{"spent": 5, "spendable": -5}], id="a debt"),
        pytest.param([{"spendable": 5}, {"spendable": -5}], id="points and a debt as large"),
    ],
)
def test_what_customers_have_keeps_the_account(
    call: Client, other: str, cards: Callable[..., None], balances: list[dict[str, int]]
) -> None:
    for number, balance in enumerate(balances):
        cards(f"c-{number}", **balance)
    answer = call("POST", f"{other}/archive")
    body = answer.json()
    assert (answer.status_code, body["code"]) == (409, "account_in_use")
    assert body["totals"]["customers"] == len(balances)
    assert body["totals"]["spendable"] == sum(each.get("spendable", 0) for each in balances)
    assert str(len(balances)) in body["detail"]
    assert status_of(call) == "inactive"
    for number, _ in enumerate(balances):
        cards(f"c-{number}")
    assert call("POST", f"{other}/archive").status_code == 200


def test_another_tenants_points_keep_nothing(
    call: Client, other: str, program_settings: Settings
) -> None:
    with MongoClient[Any](program_settings.mongo_url) as client:
        client[program_settings.database("query")]["cards"].insert_one(
            {"_id": f"{call.tenant}x/c-1", "accounts": {"other": ZERO | {"spendable": 5}}}
        )
    assert call("POST", f"{other}/archive").status_code == 200


# The query service as it should not be


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], tuple[int, Any]]) -> Iterator[str]:
    """Something that listens where the query service should; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def asking(settings: Settings, call: Client, query_url: str) -> Iterator[Client]:
    """The program, asking at another address."""
    elsewhere = settings.model_copy(update={"query_url": query_url})
    with TestClient(create_app(elsewhere)) as http:
        yield Client(http, call.tenant)


def refused_as_unavailable(call: Client) -> None:
    answer = call("POST", "accounts/other/archive")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert status_of(call) == "inactive"


@pytest.mark.usefixtures("other")
def test_while_the_query_service_is_away_nothing_is_archived(
    call: Client, program_settings: Settings
) -> None:
    with asking(program_settings, call, "http://127.0.0.1:9") as program:
        refused_as_unavailable(program)


@pytest.mark.parametrize("status", [401, 404, 500, 503])
@pytest.mark.usefixtures("other")
def test_a_query_service_that_cannot_tell_keeps_the_account(
    call: Client, program_settings: Settings, status: int
) -> None:
    with (
        answering(lambda _: (status, {"code": "any"})) as url,
        asking(program_settings, call, url) as program,
    ):
        refused_as_unavailable(program)


@pytest.mark.usefixtures("other")
def test_customers_with_undecided_events_keep_the_account(
    call: Client, program_settings: Settings
) -> None:
    with (
        answering(lambda _: (200, {**TOTALS, "parked": 2})) as url,
        asking(program_settings, call, url) as program,
    ):
        answer = program("POST", "accounts/other/archive")
    assert (answer.status_code, answer.json()["code"]) == (409, "account_in_use")
    assert "unpark" in answer.json()["detail"]


@pytest.mark.usefixtures("other")
def test_it_is_asked_as_the_caller_and_only_for_what_could_be_archived(
    call: Client, program_settings: Settings
) -> None:
    asked: list[tuple[str, str | None]] = []

    def answer(request: BaseHTTPRequestHandler) -> tuple[int, Any]:
        asked.append((request.path, request.headers["authorization"]))
        return 200, TOTALS

    with answering(answer) as url, asking(program_settings, call, url) as program:
        for path in ("main", "nobody", "a%2Fb"):  # the default account; unknown; no id
            assert program("POST", f"accounts/{path}/archive").status_code in (404, 409)
        assert program("POST", "accounts/other/archive", if_match='"99"').status_code == 412
        program("POST", "accounts/other/activate")
        assert program("POST", "accounts/other/archive").json()["code"] == "entity_status"
        assert asked == []
        program("POST", "accounts/other/deactivate")
        assert program("POST", "accounts/other/archive").json()["status"] == "archived"
        assert asked == [("/v1/accounts/other/totals", f"Bearer {call.tenant}-key")]
        assert program("POST", "accounts/other/archive").json()["status"] == "archived"
        assert len(asked) == 1


@pytest.mark.usefixtures("other")
def test_an_account_that_was_in_use_meanwhile_is_not_archived(
    call: Client, program_settings: Settings
) -> None:
    """Somebody activates and deactivates it while the query service counts: nothing is proven."""

    def answer(_: BaseHTTPRequestHandler) -> tuple[int, Any]:
        for step in ("activate", "deactivate"):
            assert call("POST", f"accounts/other/{step}").status_code == 200
        return 200, TOTALS

    with answering(answer) as url, asking(program_settings, call, url) as program:
        refused_as_unavailable(program)


# The rule


def at_version(program: Program, id_: str) -> int:
    return program.entities["accounts", id_].version


def test_only_the_version_that_was_proven_empty_is_archived() -> None:
    program = having("main", "other")
    proven = at_version(program, "other")
    decision = archive("other", proven, program)
    assert not isinstance(decision, Refused)
    assert [change.status for change in decision] == ["archived"]
    renamed = put_account("other", account(name="New"), program)
    assert not isinstance(renamed, Refused)
    for later, version in ((program, None), (evolve(program, renamed, NOW, "key:1"), proven)):
        refused = archive("other", version, later)
        assert isinstance(refused, Refused)
        assert refused.code == "unavailable"


@pytest.mark.parametrize("id_", ["main", "nobody"])
def test_what_the_life_cycle_refuses_needs_no_proof(id_: str) -> None:
    program = having("main")
    assert archive(id_, None, program) == change_status("archive", id_, program)
