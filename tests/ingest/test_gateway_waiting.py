"""`Prefer: wait`: the outcome reaches who waits for it, whichever way it comes."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from bson.binary import Binary
from confluent_kafka import Producer
from pymongo import MongoClient

from shared.contracts.decisions import number
from shared.contracts.identity import dedupe_key
from shared.contracts.problems import problem
from shared.runtime.deciding import outcome_message
from shared.runtime.kafka import PARTITIONER
from shared.runtime.settings import Settings
from tests.ingest.serving import Arrived, Inbox

AT = datetime(2026, 3, 1, 9, 30, 0, 250_000, UTC)
EARNED = [{"type": "points_earned", "account": "main", "points": 2**40, "expires_at": AT}]


class Services:
    """Plays the journal and the owner: says outcomes, stores events and decisions."""

    def __init__(self, settings: Settings, client: MongoClient[Any], inbox: Inbox) -> None:
        self._settings = settings
        self._client = client
        self._inbox = inbox
        self._producer = Producer(
            {"bootstrap.servers": settings.kafka_servers, "partitioner": PARTITIONER}
        )

    def receive(self) -> Arrived:
        """The next event."""
        [event] = self._inbox.take(1)
        return event

    def say(self, event: Arrived, answer: dict[str, Any], **headers: str) -> None:
        """An answer for whoever waits for `event`."""
        told = {**event.headers, **headers}
        message = outcome_message(told["tenant"], told["ce_id"], told["reply_to"], answer)
        self.say_bytes(message.value, list(message.headers))

    def say_bytes(self, value: bytes, headers: Any) -> None:
        topic, key = self._settings.topic("events.outcomes"), self._settings.instance("gateway")
        self._producer.produce(topic, value, key, headers=headers)
        assert self._producer.flush(20) == 0

    def store(self, event: Arrived, place: tuple[int, int], **changes: Any) -> None:
        """The journal has taken the event."""
        headers = event.headers
        tenant, event_id = headers["tenant"], headers["ce_id"]
        document = {"id": event_id, "tenant": tenant, "partition": place[0], "seq": place[1]}
        document |= {"content": headers["content"], "reply_to": headers["reply_to"]} | changes
        key = Binary(dedupe_key(tenant, event_id))
        self._collection("journal", "events").insert_one({"_id": key, **document})

    def decide(self, about: Arrived, place: tuple[int, int], **changes: Any) -> None:
        """The owner has decided the event."""
        headers = about.headers
        decision = {
            "_id": number(*place),
            "event": headers["ce_id"],
            "customer": headers["customer"],
            "action": headers["ce_type"],
            "at": AT,
            "time": AT.replace(microsecond=0),
            "outcome": "accepted",
            "facts": EARNED,
            "result": {"balances": {"main": {"score": 2**40}}},
        }
        self._collection("points", "decisions").insert_one({**decision, **changes})

    def _collection(self, service: str, name: str) -> Any:
        return self._client[self._settings.database(service)][name]


@pytest.fixture
def services(gateway_settings: Settings, inbox: Inbox) -> Iterator[Services]:
    with MongoClient[Any](gateway_settings.mongo_url) as client:
        yield Services(gateway_settings, client, inbox)


@pytest.fixture
def event_id() -> str:
    return f"w-{uuid4().hex[:8]}"


@pytest.fixture
def seq() -> int:
    """A place in the log of the test's own."""
    return time.monotonic_ns() // 1_000_000 % 2**31


@pytest.fixture
def submit(gateway: httpx2.Client) -> Iterator[Callable[..., Future[httpx2.Response]]]:
    """Posts in the background: the answer comes when the test has said it."""
    with ThreadPoolExecutor(2) as pool:

        def post(body: object, wait: int, path: str = "/v1/events") -> Future[httpx2.Response]:
            headers = {"prefer": f"wait={wait}"}
            return pool.submit(gateway.post, path, json=body, headers=headers)

        yield post


Submit = Callable[..., Future[httpx2.Response]]


def event(event_id: str | None = None, **members: Any) -> dict[str, Any]:
    known = {"customer": "c-1", "action": "point_add", "data": {"points": 5}}
    return {**known, **({"id": event_id} if event_id else {}), **members}


def test_the_outcome_is_the_answer(submit: Submit, services: Services, event_id: str) -> None:
    answer = submit(event(event_id), 30)
    said = {"id": event_id, "status": "accepted", "facts": [], "position": "3-7"}
    services.say(services.receive(), said)
    got = answer.result()
    assert (got.status_code, got.json()) == (200, said)
    assert got.headers["preference-applied"] == "wait=30"
    assert got.headers["content-type"] == "application/json"


def test_a_refusal_is_its_problem(submit: Submit, services: Services, event_id: str) -> None:
    answer = submit(event(event_id), 30)
    said = problem("insufficient_points", id=event_id, missing=5, duplicate=False)
    services.say(services.receive(), said)
    got = answer.result()
    assert (got.status_code, got.json()) == (409, said)
    assert got.headers["content-type"] == "application/problem+json"
    assert got.headers["preference-applied"] == "wait=30"


def test_when_the_time_is_up_the_event_is_queued(submit: Submit, event_id: str) -> None:
    started = time.monotonic()
    got = submit(event(event_id), 1).result()
    assert (got.status_code, got.json()) == (202, {"id": event_id, "status": "queued"})
    assert got.headers["location"].endswith(f"/v1/events/{event_id}")
    assert got.headers["preference-applied"] == "wait=1"
    assert 0.9 < time.monotonic() - started < 10


def test_a_repeat_is_answered_with_the_first_decision(
    submit: Submit, services: Services, event_id: str, seq: int
) -> None:
    answer = submit(event(event_id), 30)
    repeat = services.receive()
    # What a tick's sweep numbered there, and what only followed the event, are no answers to it.
    services.decide(repeat, (3, seq), _id=number(3, seq, 1), event="~tick")
    services.decide(repeat, (3, seq), _id=number(3, seq, 2), outcome="followed")
    services.decide(repeat, (3, seq), _id=number(3, seq, 3))
    services.say(repeat, {"id": event_id, "repeat_of": {"partition": 3, "seq": seq}})
    got = answer.result()
    assert got.status_code == 200
    assert got.json() == {
        "id": event_id,
        "status": "accepted",
        "customer": "c-1",
        "action": "point_add",
        "recorded_at": "2026-03-01T09:30:00.250Z",
        "time": "2026-03-01T09:30:00Z",
        "duplicate": True,
        "pending": False,
        "position": f"3-{seq}",
        "facts": [{**EARNED[0], "expires_at": "2026-03-01T09:30:00.250Z"}],
        "balances": {"main": {"score": 2**40}},
    }


def test_a_repeat_waits_for_the_first_to_be_decided(
    submit: Submit, services: Services, event_id: str, seq: int
) -> None:
    answer = submit(event(event_id), 30)
    repeat = services.receive()
    services.say(repeat, {"id": event_id, "repeat_of": {"partition": 2, "seq": seq}})
    refused = {"outcome": "refused", "code": "customer_unknown", "facts": []}
    services.decide(repeat, (2, seq), **refused)
    got = answer.result()
    assert (got.status_code, got.json()["code"]) == (404, "customer_unknown")
    assert (got.json()["id"], got.json()["duplicate"]) == (event_id, True)


def test_another_event_with_the_same_id_is_a_conflict(
    submit: Submit, services: Services, event_id: str
) -> None:
    answer = submit(event(event_id), 30)
    services.say(services.receive(), problem("event_conflict", id=event_id))
    got = answer.result()
    assert (got.status_code, got.json()["code"]) == (409, "event_conflict")


@pytest.mark.parametrize(
    ("changes", "duplicate"),
    [
        pytest.param({}, False, id="its own message was lost"),
        pytest.param({"reply_to": "another/1"}, True, id="an earlier submission came first"),
    ],
)
def test_an_outcome_that_never_comes_is_looked_up(
    submit: Submit,
    services: Services,
    event_id: str,
    seq: int,
    changes: dict[str, str],
    duplicate: bool,
) -> None:
    answer = submit(event(event_id), 2)
    lost = services.receive()
    services.store(lost, (1, seq), **changes)
    services.decide(lost, (1, seq))
    got = answer.result()
    assert (got.status_code, got.json()["duplicate"]) == (200, duplicate)


def test_a_conflict_that_nobody_tells_is_looked_up(
    submit: Submit, services: Services, event_id: str
) -> None:
    answer = submit(event(event_id), 2)
    services.store(services.receive(), (1, 1), content="something else")
    got = answer.result()
    assert (got.status_code, got.json()["code"]) == (409, "event_conflict")
    assert got.json()["id"] == event_id


def test_an_event_that_is_stored_but_not_decided_is_queued(
    submit: Submit, services: Services, event_id: str, seq: int
) -> None:
    answer = submit(event(event_id), 2)
    services.store(services.receive(), (1, seq))
    assert answer.result().status_code == 202


def test_what_others_are_told_is_not_taken(
    submit: Submit, services: Services, event_id: str
) -> None:
    answer = submit(event(event_id), 30)
    waiting = services.receive()
    services.say(waiting, {"status": "accepted", "whose": "another event's"}, ce_id="another")
    services.say(waiting, {"status": "accepted", "whose": "another process's"}, reply_to="x/1")
    headers = [(name, waiting.headers[name]) for name in ("ce_id", "reply_to", "tenant")]
    services.say_bytes(b"{no json", headers)
    services.say_bytes(b"{}", None)
    services.say(waiting, {"status": "accepted", "whose": "ours"})
    assert answer.result().json()["whose"] == "ours"


def test_a_batch_waits_for_all_and_answers_each(
    submit: Submit, services: Services, event_id: str, seq: int
) -> None:
    ids = [f"{event_id}-{place}" for place in range(4)]
    events = [*(event(one) for one in ids), event(data={})]
    answer = submit({"events": events}, 3, "/v1/events/batch")
    first, second, third, _fourth = (services.receive() for _ in ids)
    services.say(second, problem("account_unknown", id=ids[1]))
    services.say(first, {"id": ids[0], "status": "accepted"})
    services.decide(third, (4, seq))
    services.say(third, {"id": ids[2], "repeat_of": {"partition": 4, "seq": seq}})
    got = answer.result()
    body = got.json()
    assert (got.status_code, body["total"], body["errors"]) == (200, 5, 2)
    accepted, refused, repeated, queued, invalid = body["items"]
    assert accepted == {"id": ids[0], "status": "accepted"}
    assert (refused["id"], refused["status"]) == (ids[1], 404)
    assert (repeated["id"], repeated["duplicate"]) == (ids[2], True)
    assert queued == {"id": ids[3], "status": "queued"}
    assert (invalid["status"], invalid["code"]) == (422, "body_invalid")
    assert got.headers["preference-applied"] == "wait=3"
