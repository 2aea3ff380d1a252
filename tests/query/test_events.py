"""`GET /v1/events/{id}`: what became of an event."""

import pytest
from starlette.testclient import TestClient

from shared.contracts.decisions import number
from tests.query.given import Given, earned


def test_an_accepted_event_shows_the_outcome_as_the_gateway_gives_it(
    api: TestClient, given: Given
) -> None:
    event = given.submitted("c-1", "point_add", {"points": 5}, id_="till-7/1")
    given.decided(event, [earned(5)])
    answer = api.get("/v1/events/till-7%2F1")
    assert answer.status_code == 200
    assert answer.json() == {
        "id": "till-7/1", "status": "accepted", "customer": "c-1", "action": "point_add",
        "recorded_at": "2026-03-01T09:00:01Z", "time": "2026-03-01T09:00:01Z",
        "duplicate": False, "pending": False, "position": f"{event['partition']}-{event['seq']}",
        "facts": [{"type": "points_earned", "account": "main", "points": 5, "expires_at": None}],
        "balances": {"main": {"score": 5, "spent": 0, "pending": 0, "reserved": 0, "expired": 0,
                              "spendable": 5}},
    }  # fmt: skip


def test_a_refused_event_shows_its_problem_with_status_200(api: TestClient, given: Given) -> None:
    given.happened(
        "c-1", "point_spend", {"points": 5}, id_="e", outcome="refused",
        code="insufficient_points", details={"missing": 5},
    )  # fmt: skip
    answer = api.get("/v1/events/e")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["id"], body["status"], set(body)) == ("e", "refused", {"id", "status", "problem"})
    problem = body["problem"]
    assert (problem["status"], problem["code"], problem["missing"], problem["retryable"]) == (
        409, "insufficient_points", 5, True,
    )  # fmt: skip


def test_an_undecided_event_is_queued(api: TestClient, given: Given) -> None:
    event = given.submitted("c-1", "point_add", {"points": 5}, id_="e")
    followed = number(event["partition"], event["seq"])
    given.of("customers", "decisions").insert_one(
        {"_id": followed, "event": "e", "tenant": "demo", "customer": "c-1", "outcome": "followed"}
    )
    assert api.get("/v1/events/e").json() == {"id": "e", "status": "queued"}


def test_an_event_shows_its_owners_decision_not_that_of_a_follower(
    api: TestClient, given: Given
) -> None:
    made = given.joined("c-1")
    given.of("points", "decisions").insert_one({**made, "outcome": "followed", "facts": []})
    facts = api.get("/v1/events/e-1").json()["facts"]
    assert [fact["type"] for fact in facts] == ["customer_opted_in"]


def test_a_sweep_at_the_same_place_in_the_log_is_not_taken_for_the_event(
    api: TestClient, given: Given
) -> None:
    event = given.submitted("c-1", "point_add", {"points": 5}, id_="e")
    made = given.decided(event, [earned(5)])
    sweep = {**made, "_id": made["_id"] + 1, "event": "~tick:1:x", "action": "expiration"}
    given.of("points", "decisions").insert_one(sweep)
    assert api.get("/v1/events/e").json()["action"] == "point_add"


def test_a_repeated_checkout_shows_what_the_first_one_did(api: TestClient, given: Given) -> None:
    first = [{"type": "points_earned", "account": "main", "points": 3}]
    given.happened(
        "c-1", "checkout", {"transaction_id": "T"}, id_="again",
        answer={"facts": first, "duplicate": True},
    )  # fmt: skip
    body = api.get("/v1/events/again").json()
    assert (body["id"], body["duplicate"], body["facts"]) == ("again", True, first)


@pytest.mark.parametrize("id_", ["unknown", "~tick:0:2026-03-01T00:00:00Z", "x" * 200, "%00"])
def test_an_event_nobody_has_heard_of_is_not_found(api: TestClient, id_: str) -> None:
    answer = api.get(f"/v1/events/{id_}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"


def test_points_beyond_32_bits_are_shown_on_every_path(api: TestClient, given: Given) -> None:
    many = 2**53 - 1
    given.joined("c-1")
    given.added("c-1", many, id_="e")
    given.lot("c-1", "e", many, used=many - 1)
    given.card("c-1", score=many)
    outcome = api.get("/v1/events/e").json()
    assert (outcome["facts"][0]["points"], outcome["balances"]["main"]["score"]) == (many, many)
    assert api.get("/v1/customers/c-1").json()["accounts"][0]["spendable"] == many
    assert api.get("/v1/customers?sort=score&limit=1").json()["items"][0]["score"] == many
    for path in ("events?sort=-points&limit=1", "points-history?limit=1"):
        page = api.get(f"/v1/customers/c-1/{path}").json()
        row = page["items"][0]
        assert (row["points"], row["used_points"]) == (many, many - 1), path


def test_a_customers_outcome_says_accepted_whatever_the_customers_status(
    api: TestClient, given: Given
) -> None:
    given.joined("c-1")
    assert api.get("/v1/events/e-1").json()["status"] == "accepted"
