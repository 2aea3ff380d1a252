"""Totals of an account over all customers, and the wait until every taken event is in them."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Producer
from starlette.testclient import TestClient

from services.query import settled
from services.query.app import create_app
from shared.runtime.settings import Settings
from tests.leaders import create_ready_topics
from tests.query.conftest import NOW
from tests.query.given import Given

PATH = "/v1/accounts/main/totals"
NOTHING = {
    "account": "main", "customers": 0, "parked": 0,
    "score": 0, "spent": 0, "pending": 0, "reserved": 0, "expired": 0, "spendable": 0,
}  # fmt: skip
READER = {"authorization": "Bearer read-key"}
DEADLINE_SECONDS = 20


@pytest.fixture(scope="session")
def taking(stack: Settings) -> Settings:
    """The same databases with an inbox."""
    create_ready_topics(stack)
    return stack


@pytest.fixture
def all_shown(taking: Settings, given: Given) -> None:
    """Nothing is under way: the journal has read all that is on the inbox."""
    for partition, end in settled.inbox_ends(taking).items():
        given.passed("journal", partition, next={"events_inbox": end})


@pytest.fixture
def program(given: Given) -> None:
    given.program("accounts", "main", {"name": "Main"})


def holds(given: Given, customer: str, account: str = "main", **balance: int) -> None:
    """A card with balances on one account; what is not given is 0."""
    balances = {**dict.fromkeys(("score", "spent", "pending", "reserved", "expired"), 0), **balance}
    balances.setdefault(
        "spendable",
        balances["score"] - balances["spent"] - balances["expired"] - balances["reserved"],
    )
    given.card(customer)
    given.of("query", "cards").update_one(
        {"_id": f"demo/{customer}"}, {"$set": {f"accounts.{account}": balances}}
    )


def totals(api: TestClient, **headers: str) -> Any:
    answer = api.get(PATH, headers=headers or None)
    assert answer.status_code == 200, answer.text
    return answer.json()


# What is added up


@pytest.mark.usefixtures("program", "all_shown")
def test_an_account_that_nobody_has_is_all_zeros(api: TestClient) -> None:
    assert totals(api) == NOTHING


@pytest.mark.usefixtures("program", "all_shown")
def test_balances_are_added_up_over_all_customers_of_one_account(
    api: TestClient, given: Given
) -> None:
    holds(given, "c-1", score=100, spent=30, expired=5, reserved=10)
    holds(given, "c-2", score=2**40, pending=7)
    holds(given, "c-3", "other", score=9)
    holds(given, "c-4", score=50, spent=50)
    assert totals(api) == NOTHING | {
        "customers": 2, "score": 2**40 + 150, "spent": 80, "pending": 7, "reserved": 10,
        "expired": 5, "spendable": 2**40 + 55,
    }  # fmt: skip


@pytest.mark.usefixtures("program", "all_shown")
def test_a_debt_does_not_hide_anothers_points(api: TestClient, given: Given) -> None:
    holds(given, "c-1", score=10)
    holds(given, "c-2", spent=10)
    found = totals(api)
    assert (found["customers"], found["spendable"]) == (2, 0)


@pytest.mark.parametrize(
    ("pending", "reserved"), [pytest.param(5, 0, id="pending"), pytest.param(0, 5, id="reserved")]
)
@pytest.mark.usefixtures("program", "all_shown")
def test_what_is_not_spendable_counts_too(
    api: TestClient, given: Given, pending: int, reserved: int
) -> None:
    holds(given, "c-1", pending=pending, reserved=reserved, spendable=0)
    assert totals(api)["customers"] == 1


@pytest.mark.parametrize(
    ("expires", "customers", "spendable"),
    [
        pytest.param(NOW, 0, 0, id="due now: gone"),
        pytest.param(NOW + timedelta(seconds=1), 1, 8, id="not due yet"),
    ],
)
@pytest.mark.usefixtures("program", "all_shown")
def test_due_points_are_gone_as_in_every_read(
    api: TestClient, given: Given, expires: datetime, customers: int, spendable: int
) -> None:
    given.joined("c-1")
    given.added("c-1", 8, id_="earned", expires_at=expires)
    given.lot("c-1", "earned", 8, expires_at=expires)
    given.state("c-1", due={"main": expires})
    holds(given, "c-1", score=8)
    found = totals(api)
    assert (found["customers"], found["spendable"]) == (customers, spendable)


@pytest.mark.usefixtures("all_shown")
def test_where_points_never_expire_due_ones_stay(api: TestClient, given: Given) -> None:
    given.program("settings", "settings", {"modules": []})
    given.program("accounts", "main", {"name": "Main"})
    given.added("c-1", 8, id_="earned", expires_at=NOW)
    given.lot("c-1", "earned", 8, expires_at=NOW)
    given.state("c-1", due={"main": NOW})
    holds(given, "c-1", score=8)
    assert totals(api)["customers"] == 1


@pytest.mark.usefixtures("program", "all_shown")
def test_customers_with_undecided_events_are_counted(api: TestClient, given: Given) -> None:
    parked = given.of("points", "parked_customers")
    parked.insert_one({"_id": "demo/c-1", "tenant": "demo", "customer": "c-1"})
    parked.insert_one({"_id": "other/c-1", "tenant": "other", "customer": "c-1"})
    assert totals(api)["parked"] == 1
    parked.delete_many({})


# Who may ask


@pytest.mark.usefixtures("program", "all_shown")
def test_a_tenant_sees_its_own_account_and_no_other(api: TestClient, given: Given) -> None:
    holds(given, "c-1", score=10)
    assert totals(api, authorization="Bearer admin-key") == totals(api)
    foreign = api.get(PATH, headers={"authorization": "Bearer other-key"})
    assert (foreign.status_code, foreign.json()["code"]) == (404, "account_unknown")
    given.program("accounts", "main", {"name": "Main"}, tenant="other")
    assert totals(api, authorization="Bearer other-key") == NOTHING


@pytest.mark.parametrize(
    ("path", "headers", "then"),
    [
        pytest.param(PATH, {"authorization": ""}, (401, "unauthorized"), id="nobody"),
        pytest.param(f"{PATH}?after=1-1", {}, (400, "parameter_unknown"), id="a parameter"),
        pytest.param("/v1/accounts/nobody/totals", {}, (404, "account_unknown"), id="unknown"),
        pytest.param("/v1/accounts/a.b%2F%24x/totals", {}, (404, "account_unknown"), id="no id"),
    ],
)
@pytest.mark.usefixtures("program")
def test_a_wrong_question_is_a_problem(
    api: TestClient, path: str, headers: dict[str, str], then: tuple[int, str]
) -> None:
    answer = api.get(path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == then


# When it answers


@pytest.fixture
def one_taken(taking: Settings, all_shown: None) -> int:
    """A gateway has put an event on partition 3, where the log ends at 7; the event's offset."""
    producer = Producer({"bootstrap.servers": taking.kafka_servers})
    producer.produce(taking.topic("events.inbox"), b"{}", partition=3)
    assert producer.flush(DEADLINE_SECONDS) == 0
    return settled.inbox_ends(taking)[3] - 1


def progress(given: Given, inbox: int, log: int, last: int, cards: int) -> None:
    """How far each service is in partition 3; the journal has numbered up to 7."""
    given.passed("journal", 3, next={"events_inbox": inbox}, last=7)
    given.passed("points", 3, seen={"events_log": log}, last=last)
    given.passed("customers", 3, seen={"events_log": log}, last=last)
    given.passed("query", 3, seen={"points_facts": cards, "customers_facts": cards})


@pytest.mark.parametrize(
    ("inbox", "log", "cards"),
    [
        pytest.param(0, 7, 70, id="the journal has not read it"),
        pytest.param(1, 6, 70, id="an owner has not decided it"),
        pytest.param(1, 7, 69, id="the cards do not show it"),
    ],
)
@pytest.mark.usefixtures("program")
def test_while_a_taken_event_is_under_way_it_is_503(
    api: TestClient,
    given: Given,
    one_taken: int,
    inbox: int,
    log: int,
    cards: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settled, "SETTLED_SECONDS", 0.5)
    progress(given, one_taken + inbox, log, 70, cards)
    answer = api.get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.usefixtures("program")
def test_it_answers_as_soon_as_the_event_is_on_the_cards(
    api: TestClient, given: Given, one_taken: int
) -> None:
    answers: list[Any] = []
    reader = threading.Thread(target=lambda: answers.append(totals(api)))
    progress(given, one_taken, 6, 60, 60)
    reader.start()
    progress(given, one_taken + 1, 6, 60, 60)
    holds(given, "c-1", score=10)
    assert answers == []
    progress(given, one_taken + 1, 7, 70, 70)
    reader.join(DEADLINE_SECONDS)
    assert [answer["spendable"] for answer in answers] == [10]


def test_without_kafka_it_is_503(
    stack: Settings, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    given.program("accounts", "main", {"name": "Main"})
    monkeypatch.setattr(settled, "BROKER_SECONDS", 0.5)
    away = stack.model_copy(update={"kafka_servers": "127.0.0.1:9"})
    with TestClient(create_app(away, lambda: NOW)) as client:
        answer = client.get(PATH, headers=READER)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "Kafka" in answer.json()["detail"]
