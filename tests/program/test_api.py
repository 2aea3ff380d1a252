"""The program over HTTP, on a real mongod (API.md, Program)."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from pymongo import MongoClient
from starlette.testclient import TestClient

from services.program.api import NOT_BUILT
from shared.runtime.ports import BrokenInvariant
from shared.runtime.programs import Programs
from shared.runtime.settings import Settings
from tests.program.conftest import ACCOUNT, Client

EXAMPLE = b"""
{"name": "Main points", "currency_label": "pts", "type": "standard", "family": false,
 "negative_points": false, "init_on_opt_in": true, "access_level": "",
 "earn": {"level": "transaction", "percent": 10, "per_currency": {"USD": 8}, "rounding": "round",
          "rounding_level": "subtotal", "discounted_price": true},
 "burn": {"rates": [{"points": 5, "amount": "1.00", "currency": "EUR"}]},
 "pending": {"mode": "none"},
 "expiration": {"logic": "none"}}
"""


def code_of(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


def pages(call: Client, path: str) -> Iterator[list[Any]]:
    cursor = ""
    while True:
        answer = call("GET", f"{path}{cursor}").json()
        yield answer["items"]
        if answer["next_cursor"] is None:
            return
        cursor = f"&cursor={answer['next_cursor']}"


def test_the_documented_example_is_taken_and_shown_as_it_is(call: Client) -> None:
    made = call("PUT", "accounts/main", EXAMPLE)
    assert (made.status_code, made.headers["location"]) == (201, "/v1/program/accounts/main")
    shown = call("GET", "accounts/main")
    assert shown.headers["etag"] == f'"{shown.json()["version"]}"'
    body = json.loads(shown.text, parse_float=Decimal)
    assert {name: body[name] for name in json.loads(EXAMPLE)} == json.loads(EXAMPLE)
    stamps = ("id", "version", "status", "updated_by")
    assert [body[name] for name in stamps] == ["main", 1, "inactive", made.json()["updated_by"]]
    assert body["updated_by"].startswith("key:")
    assert call.tenant not in body["updated_by"]


def test_percentages_are_numbers_on_the_wire_and_exact(call: Client) -> None:
    call("PUT", "accounts/main", b'{"name":"P","currency_label":"p","earn":{"percent":12.35}}')
    assert '"percent":12.35,' in call("GET", "accounts/main").text


@pytest.mark.parametrize(
    ("body", "then", "where"),
    [
        pytest.param(b"", (400, "not_json"), None, id="nothing"),
        pytest.param(b'{"name": "a", "name": "b"}', (400, "not_json"), None, id="a name twice"),
        pytest.param(b'{"name": NaN}', (400, "not_json"), None, id="NaN"),
        pytest.param(b'{"name": "\xff"}', (400, "not_json"), None, id="bad UTF-8"),
        pytest.param(b"[]", (422, "body_invalid"), [""], id="a list"),
        pytest.param(b"{}", (422, "body_invalid"), ["/name", "/currency_label"], id="no fields"),
        pytest.param(
            b'{"name": {"$gt": ""}, "currency_label": true, "family": 1, "colour": "red"}',
            (422, "body_invalid"),
            ["/name", "/currency_label", "/family", "/colour"],
            id="everything wrong at once",
        ),
        pytest.param(
            b'{"name": "P", "currency_label": "p", "earn": {"percent": 9007199254740992}}',
            (422, "body_invalid"),
            ["/earn/percent"],
            id="2^53",
        ),
        pytest.param(b'"' + b"x" * 2**20 + b'"', (413, "body_too_large"), None, id="too large"),
    ],
)
def test_a_wrong_body_changes_nothing(
    call: Client, body: bytes, then: tuple[int, str], where: list[str] | None
) -> None:
    answer = call("PUT", "accounts/main", body)
    assert code_of(answer) == then
    assert where is None or pointers(answer) == where
    assert call("GET", "versions").json()["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "then"),
    [
        pytest.param("GET", "accounts/nobody", (404, "not_found"), id="an unknown account"),
        pytest.param("POST", "accounts/nobody/activate", (404, "not_found"), id="activating it"),
        pytest.param("PUT", "accounts/a%2Fb", (422, "body_invalid"), id="a slash in an id"),
        pytest.param("PUT", "accounts/default", (422, "body_invalid"), id="the id default"),
        pytest.param("GET", "accounts/a%2Fb", (404, "not_found"), id="reading an impossible id"),
        pytest.param("GET", "accounts/%00", (404, "not_found"), id="reading NUL"),
        pytest.param("GET", "nothing", (404, "not_found"), id="an unknown kind"),
        pytest.param("DELETE", "accounts/main", (405, "method_not_allowed"), id="deleting"),
        pytest.param("GET", "accounts?colour=1", (400, "parameter_unknown"), id="a parameter"),
        pytest.param("GET", "settings?q=1", (400, "parameter_unknown"), id="one of another path"),
        pytest.param("PUT", "settings?q=1", (400, "parameter_unknown"), id="one while writing"),
        pytest.param("GET", "accounts?status=gone", (400, "parameter_invalid"), id="a status"),
        pytest.param("GET", "accounts?sort=colour", (400, "parameter_invalid"), id="an order"),
        pytest.param("GET", "accounts?count=about", (400, "parameter_invalid"), id="a count"),
        pytest.param("GET", "accounts?cursor=x", (400, "parameter_invalid"), id="a cursor"),
        pytest.param("GET", "versions?kind=tiers", (400, "parameter_invalid"), id="a kind"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(
    call: Client, method: str, path: str, then: tuple[int, str]
) -> None:
    assert code_of(call(method, path, ACCOUNT if method == "PUT" else None)) == then


def test_kinds_that_do_not_exist_yet_say_so(call: Client) -> None:
    for kind in NOT_BUILT:
        for method, path in (("GET", kind), ("PUT", f"{kind}/x"), ("POST", f"{kind}/x/activate")):
            answer = call(method, path)
            assert code_of(answer) == (404, "not_found")
            assert "not built yet" in answer.json()["detail"]


def test_a_key_that_may_only_read_cannot_write(instances: list[TestClient]) -> None:
    reader = {"authorization": "Bearer t0-read-key"}
    call = Client(instances[0], "t0")
    assert call("GET", "accounts", **reader).status_code == 200
    for method, path in (("PUT", "accounts/main"), ("POST", "accounts/main/archive")):
        assert code_of(call(method, path, b"not even read", **reader)) == (403, "forbidden")
    assert code_of(call("GET", "accounts", authorization="none")) == (401, "unauthorized")


def test_another_tenant_sees_nothing(call: Client, instances: list[TestClient]) -> None:
    call("PUT", "accounts/main", ACCOUNT)
    other = Client(instances[0], "t0")
    assert other("GET", "accounts/main").status_code == 404
    assert other("GET", "versions").json()["items"] == []


def test_the_life_cycle_over_http(call: Client) -> None:
    for id_ in ("main", "other"):
        call("PUT", f"accounts/{id_}", ACCOUNT)
    assert code_of(call("POST", "accounts/main/archive")) == (409, "default_account")
    assert call("POST", "accounts/other/activate").json()["status"] == "active"
    assert code_of(call("POST", "accounts/other/archive")) == (409, "entity_status")
    assert call("POST", "accounts/other/deactivate").json()["status"] == "inactive"
    assert call("POST", "accounts/other/archive").json()["status"] == "archived"
    assert code_of(call("PUT", "accounts/other", ACCOUNT)) == (409, "entity_status")
    shown = [account["id"] for account in call("GET", "accounts").json()["items"]]
    archived = [
        account["id"] for account in call("GET", "accounts?status=archived").json()["items"]
    ]
    assert (shown, archived) == (["main"], ["other"])


def test_settings_have_defaults_and_are_replaced_as_a_whole(call: Client) -> None:
    implied = call("GET", "settings")
    assert (implied.headers["etag"], implied.json()["currency"]) == ('"0"', "EUR")
    written = call("PUT", "settings", {"currency": "HUF"}, if_match='"0"')
    assert (written.status_code, written.json()["version"]) == (200, 1)
    replaced = call("PUT", "settings", {"time_zone": "Europe/Budapest"}).json()
    assert (replaced["currency"], replaced["time_zone"]) == ("EUR", "Europe/Budapest")
    assert pointers(call("PUT", "settings", {"default_account": "no"})) == ["/default_account"]
    assert call("PUT", "settings", call("GET", "settings").json()).json()["version"] == 2


def test_the_first_account_becomes_the_default_as_a_change_of_the_settings(call: Client) -> None:
    call("PUT", "accounts/main", ACCOUNT)
    call("PUT", "accounts/other", ACCOUNT)
    assert call("GET", "settings").json()["default_account"] == "main"
    history = call("GET", "versions?sort=version").json()["items"]
    assert [(one["version"], one["kind"], one["change"]) for one in history] == [
        (1, "accounts", "create"),
        (2, "settings", "create"),
        (3, "accounts", "create"),
    ]


CONDITIONS = [
    pytest.param({"if_match": '"1"'}, 200, id="the present version"),
    pytest.param({"if_match": '"7", "1"'}, 200, id="one of several"),
    pytest.param({"if_match": "*"}, 200, id="any version"),
    pytest.param({"if_match": '"2"'}, 412, id="another version"),
    pytest.param({"if_match": 'W/"1"'}, 412, id="a weak tag"),
    pytest.param({"if_none_match": "*"}, 412, id="only if new"),
    pytest.param({"if_none_match": '"1"'}, 412, id="only if not this one"),
    pytest.param({"if_match": "1"}, 400, id="no quotes"),
    pytest.param({"if_match": ""}, 400, id="an empty header"),
]


@pytest.mark.parametrize(("headers", "then"), CONDITIONS)
def test_conditions_guard_against_lost_updates(
    call: Client, headers: dict[str, str], then: int
) -> None:
    call("PUT", "accounts/main", ACCOUNT)
    answer = call("PUT", "accounts/main", {**ACCOUNT, "family": True}, **headers)
    assert answer.status_code == then
    assert call("GET", "accounts/main").json()["family"] == (then == 200)


def test_conditions_on_an_account_that_is_not_there(call: Client) -> None:
    for header in ("*", '"0"', '"1"'):
        assert call("PUT", "accounts/main", ACCOUNT, if_match=header).status_code == 412
    assert call("PUT", "accounts/other", ACCOUNT, if_none_match="*").status_code == 201


def test_an_answer_can_be_edited_and_sent_back(call: Client) -> None:
    answer = call("PUT", "accounts/main", ACCOUNT).json()
    edited = call("PUT", "accounts/main", {**answer, "family": True})
    assert (edited.status_code, edited.json()["family"]) == (200, True)
    assert code_of(call("PUT", "accounts/main", answer)) == (412, "version_conflict")
    renamed = call("PUT", "accounts/main", {**edited.json(), "status": "active"})
    assert (code_of(renamed), pointers(renamed)) == ((422, "body_invalid"), ["/status"])


def test_the_same_document_makes_no_new_version(call: Client) -> None:
    first = call("PUT", "accounts/main", ACCOUNT).json()
    assert call("PUT", "accounts/main", ACCOUNT).json() == first


def test_lists_are_searched_ordered_and_paged(call: Client) -> None:
    for number in range(5):
        body = {"name": f"Points {5 - number}", "currency_label": "pts"}
        call("PUT", f"accounts/a{number}", body)
    by_name = list(pages(call, "accounts?sort=-name&limit=2"))
    assert [[one["id"] for one in page] for page in by_name] == [["a0", "a1"], ["a2", "a3"], ["a4"]]
    found = call("GET", "accounts?q=pOINTS%203&count=exact").json()
    assert ([one["id"] for one in found["items"]], found["total"]) == (["a2"], 1)
    assert call("GET", "accounts?q=pts").json()["items"] == []
    newest = call("GET", "accounts?sort=-created_at&limit=1").json()
    assert newest["items"][0]["id"] == "a4"
    cursor = newest["next_cursor"]
    for other in (f"accounts?cursor={cursor}", f"versions?cursor={cursor}"):
        assert code_of(call("GET", other)) == (400, "cursor_mismatch")


def test_the_history_shows_what_was_before_and_after(call: Client) -> None:
    call("PUT", "accounts/main", ACCOUNT)
    call("PUT", "accounts/main", {**ACCOUNT, "family": True})
    call("POST", "accounts/main/activate")
    history = [one for page in pages(call, "versions?kind=accounts&limit=2") for one in page]
    assert [one["change"] for one in history] == ["activate", "update", "create"]
    activate, update, create = history
    assert create["before"] is None
    assert (update["before"]["family"], update["after"]["family"]) == (False, True)
    assert (activate["before"]["status"], activate["after"]["status"]) == ("inactive", "active")
    assert call("GET", "versions?id=settings&count=exact").json()["total"] == 1


def test_parallel_writers_lose_nothing(
    call: Client, instances: list[TestClient], program_settings: Settings
) -> None:
    """20 writers through two processes raise one counter with `If-Match` until each succeeded."""
    call("PUT", "accounts/main", {**ACCOUNT, "name": "0"})
    processes = [Client(instance, call.tenant) for instance in instances]

    def raise_by_one(number: int) -> int:
        conflicts = 0
        while True:
            process = processes[number % 2]
            shown = process("GET", "accounts/main")
            body = {**ACCOUNT, "name": str(int(shown.json()["name"]) + 1)}
            answer = process("PUT", "accounts/main", body, if_match=shown.headers["etag"])
            if answer.status_code == 200:
                return conflicts
            assert code_of(answer) == (412, "version_conflict")
            conflicts += 1

    with ThreadPoolExecutor(20) as pool:
        conflicts = sum(pool.map(raise_by_one, range(20)))
    history = [one for page in pages(call, "versions?sort=version&limit=7") for one in page]
    assert [one["version"] for one in history] == list(range(1, 23))
    names = [one["after"]["name"] for one in history if one["kind"] == "accounts"]
    assert names == [str(number) for number in range(21)]
    assert conflicts > 0
    with MongoClient[Any](program_settings.mongo_url) as client:
        head = client[program_settings.database("program")].heads.find_one({"_id": call.tenant})
    assert head == {"_id": call.tenant, "version": 22}


def test_parallel_first_accounts_agree_on_one_default(
    call: Client, instances: list[TestClient]
) -> None:
    processes = [Client(instance, call.tenant) for instance in instances]

    def create(number: int) -> int:
        answer = processes[number % 2]("PUT", f"accounts/a{number}", ACCOUNT)
        return int(answer.status_code)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(create, range(8))) == {201}
    history = call("GET", "versions?sort=version").json()["items"]
    assert [one["version"] for one in history] == list(range(1, 10))
    assert [one["kind"] for one in history].index("settings") == 1
    assert history[1]["after"]["default_account"] == history[0]["id"]


def test_a_version_is_exactly_the_revisions_up_to_it(
    call: Client, program_settings: Settings
) -> None:
    call("PUT", "accounts/main", ACCOUNT)
    call("PUT", "accounts/main", {**ACCOUNT, "family": True})
    call("POST", "accounts/main/activate")
    with MongoClient[Any](program_settings.mongo_url) as client:
        programs = Programs(client[program_settings.database("program")])
        seen = [programs.at(call.tenant, version) for version in range(5)]
    assert [sorted(entities) for entities in seen] == [
        [],
        ["accounts"],
        ["accounts", "settings"],
        ["accounts", "settings"],
        ["accounts", "settings"],
    ]
    mains = [entities["accounts"]["main"] for entities in seen[1:]]
    assert [main["document"]["family"] for main in mains] == [False, False, True, True]
    assert [main["status"] for main in mains] == ["inactive", "inactive", "inactive", "active"]


def test_a_version_that_the_program_does_not_have_stops_who_asks_for_it(
    call: Client, program_settings: Settings
) -> None:
    call("PUT", "accounts/main", ACCOUNT)
    with MongoClient[Any](program_settings.mongo_url) as client:
        programs = Programs(client[program_settings.database("program")])
        assert programs.at(call.tenant, 2)
        lost = rf"tenant {call.tenant} .* version 3 .* ends at version 2: .*laurel recover journal"
        with pytest.raises(BrokenInvariant, match=lost):
            programs.at(call.tenant, 3)
        call("POST", "accounts/main/activate")
        assert programs.at(call.tenant, 3)["accounts"]["main"]["status"] == "active"


def test_the_description_refers_to_nothing_that_is_missing(call: Client) -> None:
    description = call.http.get("/openapi.json").text
    schemas = json.loads(description)["components"]["schemas"]
    named = {part.split('"')[0] for part in description.split("#/components/schemas/")[1:]}
    assert named <= set(schemas)
    assert "/v1/program/accounts/{account}/archive" in json.loads(description)["paths"]
    assert call.http.get("/readyz").json() == {"status": "ready"}
