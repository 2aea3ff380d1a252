"""What all paths share: tenants, roles, parameters, cursors, `after`, probes."""

import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from starlette.testclient import TestClient

from services.query import app, waiting
from shared.contracts.partitions import partition_of
from shared.runtime.settings import Settings
from tests.query.given import Given

ADMIN = {"authorization": "Bearer admin-key"}
OTHER = {"authorization": "Bearer other-key"}
CUSTOMER_LISTS = ("events", "points-history", "transactions")
LISTS = ("customers", "transactions", *(f"customers/c-1/{name}" for name in CUSTOMER_LISTS))
PATHS = ("events/e-1", "customers/c-1", *LISTS)
NOT_BUILT = ("tiers", "coupons", "passes", "workflow-runs", "sync-requests")


@pytest.fixture
def known(given: Given) -> None:
    """A customer with a bit of everything."""
    given.joined("c-1")
    given.card("c-1")
    given.card("c-2")
    given.checked_out("c-1", "T-1")
    given.checked_out("c-1", "T-2")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.usefixtures("known")
def test_both_roles_may_read_their_own_tenant_and_nobody_else(api: TestClient, path: str) -> None:
    mine = api.get(f"/v1/{path}")
    assert mine.status_code == 200
    assert api.get(f"/v1/{path}", headers=ADMIN).json() == mine.json()
    foreign = api.get(f"/v1/{path}", headers=OTHER)
    if path in ("customers", "transactions"):
        assert mine.json()["items"]
        assert foreign.json()["items"] == []
    else:
        assert foreign.status_code == 404
        assert foreign.json()["code"] in ("customer_unknown", "not_found")


@pytest.mark.parametrize("path", [*PATHS, *(f"customers/c-1/{name}" for name in NOT_BUILT)])
@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic read-key"])
def test_without_a_valid_key_nothing_is_read(api: TestClient, path: str, header: str) -> None:
    answer = api.get(f"/v1/{path}", headers={"authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("name", NOT_BUILT)
def test_lists_that_nobody_keeps_yet_say_so(api: TestClient, name: str) -> None:
    answer = api.get(f"/v1/customers/c-1/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "not built yet" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nothing_can_be_written(api: TestClient, method: str) -> None:
    for path in PATHS:
        answer = api.request(method, f"/v1/{path}", headers=ADMIN)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed"), path


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("limit=0", "parameter_invalid"),
        ("limit=1001", "parameter_invalid"),
        ("limit=x", "parameter_invalid"),
        ("limit=-1", "parameter_invalid"),
        ("limit=1.0", "parameter_invalid"),
        ("limit=", "parameter_invalid"),
        ("limit=1&limit=2", "parameter_invalid"),
        ("sort=nothing", "parameter_invalid"),
        ("sort=", "parameter_invalid"),
        ("count=1", "parameter_invalid"),
        ("cursor=", "parameter_invalid"),
        ("cursor=%C3%BC", "parameter_invalid"),
        ("cursor=abc", "parameter_invalid"),
        ("cursor=W10", "parameter_invalid"),
        ("offset=5", "parameter_unknown"),
        ("Limit=5", "parameter_unknown"),
        ("after=1", "parameter_invalid"),
        ("after=", "parameter_invalid"),
        ("after=1-", "parameter_invalid"),
        ("after=-1-2", "parameter_invalid"),
        ("after=8-1", "parameter_invalid"),
        ("after=1-137438953472", "parameter_invalid"),
        ("after=1-99999999999999999999999", "parameter_invalid"),
        ("after=%D9%A1-1", "parameter_invalid"),
        ("after=1-1%20", "parameter_invalid"),
    ],
)
def test_parameters_of_lists_are_strict(api: TestClient, asked: str, code: str) -> None:
    for path in LISTS:
        answer = api.get(f"/v1/{path}?{asked}")
        assert (answer.status_code, answer.json()["code"]) == (400, code), path


@pytest.mark.parametrize(
    ("path", "asked", "code"),
    [
        ("events/e-1", "limit=5", "parameter_unknown"),
        ("customers/c-1", "x=1", "parameter_unknown"),
        ("customers/c-1", "after=x", "parameter_invalid"),
        ("customers", "status=gone", "parameter_invalid"),
        ("customers", "status=banned", "parameter_invalid"),
        ("customers", "q=", "parameter_invalid"),
        ("customers", "q=%00", "parameter_invalid"),
        ("customers", f"q={'x' * 129}", "parameter_invalid"),
        ("customers", "gender=f", "parameter_invalid"),
        ("customers", "country=DE", "parameter_invalid"),
        ("customers", "tier=gold", "parameter_invalid"),
        ("customers", "segment=s", "parameter_invalid"),
        ("customers", "list=l", "parameter_invalid"),
        ("customers", "label=vip", "parameter_invalid"),
        ("customers", "sort=email", "parameter_invalid"),
        ("customers/c-1/events", "action=Not%20one", "parameter_invalid"),
        ("customers/c-1/events", "account=main", "parameter_unknown"),
        ("customers/c-1/events", "transaction_id=", "parameter_invalid"),
        ("customers/c-1/points-history", "transaction_id=T", "parameter_unknown"),
        ("customers/c-1/points-history", "account=A", "parameter_invalid"),
        ("customers/c-1/transactions", "status=done", "parameter_invalid"),
        ("transactions", "sort=checkout_at", "parameter_invalid"),
        ("transactions", "customer=", "parameter_invalid"),
    ],
)
def test_parameters_of_each_path_are_strict(
    api: TestClient, path: str, asked: str, code: str
) -> None:
    answer = api.get(f"/v1/{path}?{asked}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize("name", ["gender", "country", "tier", "segment", "list", "label"])
def test_filters_over_what_is_not_kept_say_so(api: TestClient, name: str) -> None:
    assert "not built yet" in api.get("/v1/customers", params={name: "x"}).json()["detail"]


def first_cursor(api: TestClient, path: str, **asked: Any) -> str:
    cursor: str = api.get(path, params={"limit": 1, **asked}).json()["next_cursor"]
    return cursor


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        pytest.param("/v1/customers/c-1/points-history", {}, id="another list"),
        pytest.param("/v1/customers/c-2/events", {}, id="another customer"),
        pytest.param("/v1/customers/c-1/events", {"action": "checkout"}, id="another filter"),
        pytest.param("/v1/customers/c-1/events", {"sort": "recorded_at"}, id="another order"),
        pytest.param("/v1/transactions", {}, id="another path"),
    ],
)
@pytest.mark.usefixtures("known")
def test_a_cursor_is_bound_to_its_list(api: TestClient, path: str, asked: dict[str, str]) -> None:
    cursor = first_cursor(api, "/v1/customers/c-1/events")
    answer = api.get(path, params={**asked, "cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "cursor_mismatch")


@pytest.mark.usefixtures("known")
def test_a_cursor_is_bound_to_its_tenant(api: TestClient, given: Given) -> None:
    cursor = first_cursor(api, "/v1/transactions")
    answer = api.get("/v1/transactions", params={"cursor": cursor}, headers=OTHER)
    assert answer.json()["code"] == "cursor_mismatch"


@pytest.mark.usefixtures("known")
def test_limit_and_count_may_differ_from_page_to_page(api: TestClient) -> None:
    cursor = first_cursor(api, "/v1/customers/c-1/events")
    answer = api.get(
        "/v1/customers/c-1/events", params={"cursor": cursor, "limit": 7, "count": "exact"}
    )
    assert (len(answer.json()["items"]), answer.json()["total"]) == (2, 3)


@pytest.mark.parametrize("path", ["customers/c-1/events", "customers", "transactions"])
@pytest.mark.usefixtures("known")
def test_a_forged_place_is_no_error_of_ours(api: TestClient, path: str) -> None:
    bound = urlsafe_b64decode(first_cursor(api, f"/v1/{path}") + "==").decode().split(",")[0]
    for place in (
        "", ",1", ',"x",0,0', ",null,1,1", ",1e3,1,1", f",{2**63},1,1", ",1,1,1,1", ",{},1,1",
    ):  # fmt: skip
        forged = urlsafe_b64encode(f"{bound}{place}]".encode()).decode().rstrip("=")
        answer = api.get(f"/v1/{path}", params={"cursor": forged})
        assert answer.status_code in (200, 400), answer.text
        assert answer.json().get("code", "parameter_invalid") == "parameter_invalid"


def passed(given: Given, partition: int, seq: int) -> None:
    for owner in ("customers", "points"):
        given.passed(owner, partition, seen={"events_log": seq}, last=seq * 10)


@pytest.mark.usefixtures("known")
def test_a_read_behind_a_position_that_is_passed_is_answered_at_once(
    api: TestClient, given: Given
) -> None:
    partition = partition_of(b"demo/c-1", 8)
    passed(given, partition, 3)
    given.passed("query", partition, seen={"points_facts": 30, "customers_facts": 30})
    for path in PATHS:
        answer = api.get(f"/v1/{path}", params={"after": f"{partition}-3"})
        assert answer.status_code == 200, path


@pytest.mark.usefixtures("known")
def test_a_read_waits_for_both_owners_and_the_list_for_the_cards_too(
    api: TestClient, given: Given
) -> None:
    answers: list[tuple[str, int]] = []

    def read(path: str) -> None:
        status = api.get(f"/v1/{path}", params={"after": "2-7"}).status_code
        answers.append((path, status))

    readers = [
        threading.Thread(target=read, args=(path,)) for path in ("customers/c-1", "customers")
    ]
    for reader in readers:
        reader.start()
    given.passed("points", 2, seen={"events_log": 7}, last=70)
    given.passed("customers", 2, seen={"events_log": 6}, last=60)
    assert answers == []
    given.passed("customers", 2, seen={"events_log": 8}, last=71)
    readers[0].join(timeout=5)
    assert answers == [("customers/c-1", 200)]
    given.passed("query", 2, seen={"points_facts": 70, "customers_facts": 71})
    readers[1].join(timeout=5)
    assert answers == [("customers/c-1", 200), ("customers", 200)]


@pytest.mark.parametrize("behind", ["customers", "points", "query"])
@pytest.mark.usefixtures("known")
def test_a_position_that_is_not_passed_in_time_is_503_with_retry_after(
    api: TestClient, given: Given, behind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "AFTER_SECONDS", 0.2)
    passed(given, 1, 5)
    given.passed("query", 1, seen={"points_facts": 50, "customers_facts": 50})
    if behind == "query":
        given.passed("query", 1, seen={"points_facts": 50, "customers_facts": 49})
    else:
        given.passed(behind, 1, seen={"events_log": 4})
    started = time.monotonic()
    answer = api.get("/v1/customers", params={"after": "1-5"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert time.monotonic() - started >= 0.2


def test_it_is_ready_while_mongod_answers_and_describes_itself(api: TestClient) -> None:
    assert api.get("/livez").status_code == 200
    assert api.get("/readyz").json() == {"status": "ready"}
    paths = api.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/v1/events/{event}", "/v1/customers", "/v1/customers/{customer}", "/v1/transactions",
        "/v1/accounts/{account}/totals",
        *(f"/v1/customers/{{customer}}/{name}" for name in CUSTOMER_LISTS),
    }  # fmt: skip
    asked = {one["name"] for one in paths["/v1/customers"]["get"]["parameters"]}
    assert {"limit", "cursor", "sort", "count", "after", "q", "status"} <= asked


def test_without_mongod_it_lives_is_not_ready_and_answers_503(
    stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "REQUEST_MS", 200)
    settings = stack.model_copy(update={"mongo_url": "mongodb://127.0.0.1:9"})
    with TestClient(app.create_app(settings), raise_server_exceptions=False) as client:
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 503
        answer = client.get("/v1/customers/c-1", headers=ADMIN)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"]
