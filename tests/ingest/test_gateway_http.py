"""The gateway over HTTP on real servers: what arrives on the inbox, and what never does."""

from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import msgspec
import pytest
from pymongo import MongoClient

from shared.contracts import export
from shared.contracts.partitions import partition_of
from shared.runtime.settings import Settings
from tests.ingest.serving import Inbox

EXAMPLES = sorted(Path(export.__file__).with_name("examples").glob("*.json"))
EVENT: dict[str, Any] = {"customer": "c-1", "action": "point_add", "data": {"points": 5}}


class Arrives(msgspec.Struct):
    """The message that an example becomes."""

    key: str
    partition: int
    headers: dict[str, str]
    value: msgspec.Raw


class Example(msgspec.Struct):
    """A file of `shared/contracts/examples`; `sent` goes out byte by byte."""

    about: str
    sent: msgspec.Raw
    arrives: Arrives


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert {"type", "title", "detail", "retryable"} <= set(body)
    return answer.status_code, body["code"]


def post(
    gateway: httpx2.Client, body: object, path: str = "/v1/events", **headers: str
) -> httpx2.Response:
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.post(path, content=content, headers={"content-type": "application/json", **sent})


# What arrives


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_arrives_as_it_says(gateway: httpx2.Client, inbox: Inbox, path: Path) -> None:
    example = msgspec.json.decode(path.read_bytes(), type=Example)
    answer = post(gateway, bytes(example.sent))
    assert answer.status_code == 202
    [message] = inbox.take(1)
    expected = msgspec.json.decode(example.arrives.value)
    headers = dict(example.arrives.headers)
    if headers["ce_id"] == "<uuid7>":
        made = answer.json()["id"]
        assert UUID(made).version == 7
        expected["id"] = headers["ce_id"] = made
        headers["content"] = message.headers["content"]
    assert answer.json() == {"id": expected["id"], "status": "queued"}
    assert (message.key, message.partition) == (example.arrives.key, example.arrives.partition)
    assert message.headers == headers
    assert msgspec.json.decode(message.value) == expected
    assert message.value == msgspec.json.encode(expected, order="sorted").replace(b"1e-7", b"1E-7")


def test_the_location_is_the_outcome_at_the_query_service(gateway: httpx2.Client) -> None:
    answer = post(gateway, {**EVENT, "id": "a/b ü"})
    assert answer.headers["location"] == "https://query.example/v1/events/a%2Fb%20%C3%BC"


def test_the_idempotency_key_becomes_the_id(gateway: httpx2.Client, inbox: Inbox) -> None:
    assert post(gateway, EVENT, idempotency_key="till 7").json()["id"] == "till 7"
    assert inbox.take(1)[0].headers["ce_id"] == "till 7"


def test_a_cloudevent_is_the_same_content(gateway: httpx2.Client, inbox: Inbox) -> None:
    event = {**EVENT, "id": "ce-1", "time": "2026-03-01T09:30:00Z", "account": "main"}
    cloud = {
        "specversion": "1.0",
        "id": "ce-1",
        "source": "/tills/7",
        "type": "point_add",
        "subject": "c-1",
        "time": "2026-03-01T10:30:00+01:00",
        "account": "main",
        "datacontenttype": "application/json",
        "traceparent": "ignored",
        "data": {"points": 5},
    }
    assert post(gateway, event).status_code == 202
    kind = {"content_type": "application/cloudevents+json; charset=utf-8"}
    assert post(gateway, cloud, **kind).json() == {"id": "ce-1", "status": "queued"}
    ours, theirs = inbox.take(2)
    assert (ours.value, ours.headers) == (theirs.value, theirs.headers)


def test_a_cloudevents_faults_have_its_own_names(gateway: httpx2.Client) -> None:
    cloud = {"specversion": "1.0", "type": "point_add", "data": {"points": 0}}
    answer = post(gateway, cloud, content_type="application/cloudevents+json")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/subject", "/data/points"]


def test_a_trace_goes_along(gateway: httpx2.Client, inbox: Inbox) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    post(gateway, EVENT, traceparent=trace)
    post(gateway, EVENT, traceparent="rubbish")
    first, second = inbox.take(2)
    assert first.headers["traceparent"] == trace
    assert "traceparent" not in second.headers


def test_a_tenants_events_are_its_own(gateway: httpx2.Client, inbox: Inbox) -> None:
    post(gateway, {**EVENT, "id": "t-1"})
    post(gateway, {**EVENT, "id": "t-1"}, authorization="Bearer local-other-key")
    ours, theirs = inbox.take(2)
    if ours.headers["tenant"] != "demo":
        ours, theirs = theirs, ours
    assert (ours.key, theirs.key) == ("demo/c-1", "other/c-1")
    assert ours.value == theirs.value
    assert ours.headers["content"] != theirs.headers["content"]


def test_the_currency_is_the_programs_latest(
    gateway: httpx2.Client, gateway_settings: Settings, inbox: Inbox
) -> None:
    with MongoClient[Any](gateway_settings.mongo_url) as client:
        revisions = client[gateway_settings.database("program")]["revisions"]
        known = {"tenant": "other", "kind": "settings", "id": "settings"}
        revisions.insert_many(
            [
                {**known, "version": 3, "document": {"currency": "USD"}},
                {**known, "version": 12, "document": {"currency": "JPY"}},
                {**known, "tenant": "demo2", "version": 13, "document": {"currency": "KWD"}},
            ]
        )
    data = {"transaction_id": "T", "total": 1200}
    event = {"customer": "c-1", "action": "checkout", "data": data}
    assert post(gateway, event, authorization="Bearer local-other-key").status_code == 202
    [message] = inbox.take(1)
    assert msgspec.json.decode(message.value)["data"] == {
        **data,
        "total": "1200",
        "currency": "JPY",
    }


# What never arrives


def nested(levels: int) -> bytes:
    deep = b"[" * levels + b"]" * levels
    return b'{"customer":"c","action":"opt_in","data":{"x":' + deep + b"}}"


def with_data(**data: Any) -> dict[str, Any]:
    return {**EVENT, "data": {"points": 5, **data}}


BAD_BODIES = [
    pytest.param(b"", (400, "not_json"), id="nothing"),
    pytest.param(b"customer=c", (400, "not_json"), id="a form"),
    pytest.param(b'{"customer":"c","data":{"x":NaN}}', (400, "not_json"), id="NaN"),
    pytest.param(b'{"customer":"c","customer":"d"}', (400, "not_json"), id="a name twice"),
    pytest.param(b'{"customer":"\xff"}', (400, "not_json"), id="bad UTF-8"),
    pytest.param(b"5", (422, "body_invalid"), id="a number"),
    pytest.param([], (422, "body_invalid"), id="a list"),
    pytest.param({}, (422, "body_invalid"), id="missing members"),
    pytest.param({**EVENT, "customer": 5}, (422, "body_invalid"), id="a wrong type"),
    pytest.param({**EVENT, "customer": {"$gt": ""}}, (422, "body_invalid"), id="an operator"),
    pytest.param({**EVENT, "extra": 1}, (422, "body_invalid"), id="an unknown member"),
    pytest.param({**EVENT, "id": ""}, (422, "body_invalid"), id="an empty id"),
    pytest.param({**EVENT, "id": "x" * 129}, (422, "body_invalid"), id="an id that is too long"),
    pytest.param({**EVENT, "id": "a\u0000"}, (422, "body_invalid"), id="a control character"),
    pytest.param({**EVENT, "id": "~tick"}, (422, "id_reserved"), id="a reserved id"),
    pytest.param({**EVENT, "action": "nothing"}, (422, "action_unknown"), id="an unknown action"),
    pytest.param({**EVENT, "action": "merge"}, (422, "action_unavailable"), id="a planned action"),
    pytest.param(with_data(points=True), (422, "body_invalid"), id="true for a number"),
    pytest.param(with_data(x=[2**53]), (422, "body_invalid"), id="a number of 2^53 inside"),
    pytest.param(with_data(x=10**400), (422, "body_invalid"), id="a number of 400 digits"),
    pytest.param(b'{"customer":"c","action":"opt_in","data":{"x":%s}}' % (b"9" * 5000),
                 (422, "body_invalid"), id="a number of 5,000 digits"),
    pytest.param(b'{"customer":"c","action":"opt_in","data":{"x":1e99999999}}',
                 (422, "body_invalid"), id="a number with a huge exponent"),
    pytest.param(nested(200), (422, "body_invalid"), id="200 levels"),
    pytest.param(nested(100_000), (422, "body_invalid"), id="100,000 levels"),
    pytest.param(with_data(x="x" * 65_537), (422, "body_invalid"), id="a text over 64 KiB"),
    pytest.param(b" " * (2**20 + 1), (413, "body_too_large"), id="over 1 MiB"),
    pytest.param({**EVENT, "action": "opt_in", "data": {"email": "a@b.c"}},
                 (422, "body_invalid"), id="a personal attribute"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "then"), BAD_BODIES)
def test_a_bad_body_is_a_problem_and_nothing_arrives(
    gateway: httpx2.Client, inbox: Inbox, body: object, then: tuple[int, str]
) -> None:
    before = inbox.size()
    answer = post(gateway, body)
    assert code_of(answer) == then
    if then == (422, "body_invalid"):
        assert all({"pointer", "detail"} == set(error) for error in answer.json()["errors"])
    assert inbox.size() == before


@pytest.mark.parametrize(
    ("headers", "then"),
    [
        pytest.param({"authorization": ""}, (401, "unauthorized"), id="no key"),
        pytest.param({"authorization": "Bearer wrong"}, (401, "unauthorized"), id="a wrong key"),
        pytest.param(
            {"authorization": "Bearer local-read-key"}, (403, "forbidden"), id="a read-only key"
        ),
        pytest.param({"prefer": "wait=0"}, (400, "parameter_invalid"), id="to wait for nothing"),
        pytest.param({"prefer": "wait=31"}, (400, "parameter_invalid"), id="to wait too long"),
        pytest.param({"prefer": "wait=1.5"}, (400, "parameter_invalid"), id="half a second"),
        pytest.param({"prefer": "wait"}, (400, "parameter_invalid"), id="to wait, without a time"),
        pytest.param({"idempotency_key": "x" * 129}, (422, "body_invalid"), id="too long a key"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/batch"])
def test_a_bad_header_is_a_problem_and_nothing_arrives(
    gateway: httpx2.Client, inbox: Inbox, path: str, headers: dict[str, str], then: tuple[int, str]
) -> None:
    before = inbox.size()
    body = EVENT if path == "/v1/events" else {"events": [EVENT]}
    if "idempotency_key" in headers and path != "/v1/events":
        then = (400, "parameter_invalid")
    assert code_of(post(gateway, body, path, **headers)) == then
    assert inbox.size() == before


def test_other_preferences_are_ignored(gateway: httpx2.Client) -> None:
    answer = post(gateway, EVENT, prefer="respond-async, handling=strict")
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "then"),
    [
        pytest.param("GET", "/v1/events", (405, "method_not_allowed"), id="a wrong method"),
        pytest.param("POST", "/v1/event", (404, "not_found"), id="an unknown path"),
        pytest.param("POST", "/v1/events/preview", (404, "not_found"), id="the preview, not built"),
        pytest.param("POST", "/v1/events?wait=5", (400, "parameter_unknown"), id="a parameter"),
    ],
)
def test_what_is_not_there_is_a_problem(
    gateway: httpx2.Client, method: str, path: str, then: tuple[int, str]
) -> None:
    assert code_of(gateway.request(method, path, json=EVENT)) == then


# Batches


def test_a_batch_answers_each_event_in_order(gateway: httpx2.Client, inbox: Inbox) -> None:
    events = [
        {**EVENT, "id": "b-1"},
        {**EVENT, "id": "b-2", "data": {}},
        5,
        {**EVENT, "id": "b-3", "action": "merge"},
        {**EVENT, "id": "b-4"},
    ]
    answer = post(gateway, {"events": events}, "/v1/events/batch")
    body = answer.json()
    assert (answer.status_code, body["total"], body["errors"]) == (202, 5, 3)
    first, invalid, number, planned, last = body["items"]
    assert first == {"id": "b-1", "status": "queued"}
    assert (invalid["id"], invalid["status"], invalid["code"]) == ("b-2", 422, "body_invalid")
    assert (number["status"], number["errors"][0]["pointer"]) == (422, "")
    assert (planned["id"], planned["code"]) == ("b-3", "action_unavailable")
    assert last == {"id": "b-4", "status": "queued"}
    assert [message.headers["ce_id"] for message in inbox.take(2)] == ["b-1", "b-4"]


def test_events_of_one_customer_stay_in_order(gateway: httpx2.Client, inbox: Inbox) -> None:
    ids = [f"o-{number}" for number in range(1000)]
    events = [{**EVENT, "id": event_id, "customer": f"c-{event_id[-1]}"} for event_id in ids]
    answer = post(gateway, {"events": events}, "/v1/events/batch")
    assert [item["id"] for item in answer.json()["items"]] == ids
    arrived = inbox.take(1000)
    for customer in {f"c-{digit}" for digit in range(10)}:
        mine = [message for message in arrived if message.headers["customer"] == customer]
        expected = [event["id"] for event in events if event["customer"] == customer]
        assert [message.headers["ce_id"] for message in mine] == expected
        assert {message.partition for message in mine} == {
            partition_of(f"demo/{customer}".encode(), 8)
        }


def test_a_line_that_is_no_json_is_its_own_problem(gateway: httpx2.Client, inbox: Inbox) -> None:
    event = msgspec.json.encode(EVENT)
    lines = b"\n".join([event, b"", b"{bad", b'{"a":1,"a":2}', b"[" * 5000, event, b"\r"])
    answer = post(gateway, lines, "/v1/events/batch", content_type="application/x-ndjson")
    items = answer.json()["items"]
    assert [item["status"] for item in items] == ["queued", 400, 400, 422, "queued"]
    assert answer.json()["errors"] == 3
    assert len(inbox.take(2)) == 2


def test_a_batch_without_currencies_asks_the_program_once(
    gateway: httpx2.Client, inbox: Inbox
) -> None:
    events = [
        {"customer": "c-1", "action": "checkout", "data": {"transaction_id": "T", "total": "1"}}
    ] * 3
    assert post(gateway, {"events": events}, "/v1/events/batch").json()["errors"] == 0
    totals = [msgspec.json.decode(message.value)["data"]["total"] for message in inbox.take(3)]
    assert totals == ["1.00"] * 3


@pytest.mark.parametrize(
    ("body", "then"),
    [
        pytest.param({"events": []}, (422, "body_invalid"), id="an empty batch"),
        pytest.param({"events": [EVENT] * 1001}, (422, "body_invalid"), id="over 1,000 events"),
        pytest.param({"events": [EVENT], "x": 1}, (422, "body_invalid"), id="an unknown member"),
        pytest.param({"events": {}}, (422, "body_invalid"), id="no list"),
        pytest.param([EVENT], (422, "body_invalid"), id="no object"),
        pytest.param({}, (422, "body_invalid"), id="no events"),
        pytest.param(b'{"events":[', (400, "not_json"), id="half a batch"),
        pytest.param(b" " * (8 * 2**20 + 1), (413, "body_too_large"), id="over 8 MiB"),
    ],
)
def test_a_bad_batch_is_refused_as_a_whole(
    gateway: httpx2.Client, inbox: Inbox, body: object, then: tuple[int, str]
) -> None:
    before = inbox.size()
    assert code_of(post(gateway, body, "/v1/events/batch")) == then
    assert inbox.size() == before


@pytest.mark.parametrize(
    "lines", [b"\n \n", b'{"customer":"c"}\n' * 1001], ids=["no lines", "over 1,000 lines"]
)
def test_a_bad_number_of_lines_is_refused_as_a_whole(gateway: httpx2.Client, lines: bytes) -> None:
    answer = post(gateway, lines, "/v1/events/batch", content_type="application/x-ndjson")
    assert code_of(answer) == (422, "body_invalid")


# Large events


def test_a_body_of_one_mebibyte_is_taken(gateway: httpx2.Client, inbox: Inbox) -> None:
    item = {"product_id": "p", "price": 1, "note": "x" * 60_000}
    data = {"transaction_id": "T", "currency": "EUR", "items": [item] * 17}
    body = msgspec.json.encode({"customer": "c", "action": "checkout", "data": data})
    body += b" " * (2**20 - len(body))
    assert post(gateway, body).status_code == 202
    assert len(inbox.take(1)[0].value) > 10**6


# The other endpoints


def test_the_gateway_describes_itself(gateway: httpx2.Client) -> None:
    document = gateway.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {"/v1/events", "/v1/events/batch"}
    assert "swagger-ui" in gateway.get("/docs").text
    known = {name for kind in document["components"].values() for name in kind}
    assert not [name for name in references(document) if name not in known]


def references(node: object) -> list[str]:
    if isinstance(node, dict):
        found = [name for member in node.values() for name in references(member)]
        target = node.get("$ref")
        return found + ([target.rpartition("/")[2]] if isinstance(target, str) else [])
    if isinstance(node, list):
        return [name for item in node for name in references(item)]
    return []


def test_what_was_taken_and_refused_is_counted(gateway: httpx2.Client) -> None:
    def counted(result: str) -> float:
        lines = gateway.get("/metrics").text.splitlines()
        name = f'laurel_gateway_events_total{{result="{result}"}} '
        return next(float(line[len(name) :]) for line in lines if line.startswith(name))

    before = counted("queued"), counted("action_unknown")
    post(gateway, EVENT)
    post(gateway, {**EVENT, "action": "nothing"})
    assert (counted("queued"), counted("action_unknown")) == (before[0] + 1, before[1] + 1)
