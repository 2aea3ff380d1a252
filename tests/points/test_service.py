"""The service on a real mongod: which documents a batch leaves, and that redoing ends the same."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from services.points.domain.lots import PAGE_LOTS
from services.points.handler import LOTS_KEPT_MAX
from shared.contracts.decisions import number
from shared.contracts.partitions import partition_of
from shared.runtime.ports import BrokenInvariant, Document, Message
from tests.points.desk import START, Desk, Submitted

COLLECTIONS = ("decisions", "states", "lots", "closed")
ANNA = "anna"


def opt_in(customer: str = ANNA, **more: Any) -> Submitted:
    return Submitted(customer, "opt_in", **more)


def add(points: int, customer: str = ANNA, expires_at: str = "", **more: Any) -> Submitted:
    data: dict[str, object] = {"points": points}
    if expires_at:
        data["expires_at"] = expires_at
    return Submitted(customer, "point_add", data, **more)


def spend(points: int, customer: str = ANNA, **more: Any) -> Submitted:
    return Submitted(customer, "point_spend", {"points": points}, **more)


def checkout(total: str, transaction: str = "T-1", customer: str = ANNA, **more: Any) -> Submitted:
    data: dict[str, Any] = {"transaction_id": transaction, "total": total, "currency": "EUR"}
    data |= {name: more.pop(name) for name in ("points_burned", "guest") if name in more}
    return Submitted(customer, "checkout", data, **more)


def opt_out(customer: str = ANNA) -> Submitted:
    return Submitted(customer, "opt_out")


def stored(desk: Desk) -> dict[str, dict[Any, Document]]:
    return {name: desk.documents(name) for name in COLLECTIONS}


def at(second: int) -> Any:
    return START + timedelta(seconds=second)


def test_a_batch_leaves_one_decision_an_event_one_state_a_customer_and_pages_of_lots(
    desk: Desk,
) -> None:
    desk.batch(
        desk.logged(
            opt_in(),
            add(30, id="e-add", expires_at="2027-01-01T00:00:00Z"),
            checkout("120.00", id="e-checkout", points_burned=30),
            spend(99, id="e-refused"),
        )
    )
    partition = partition_of(b"demo/anna", desk.settings.partitions)
    decisions = list(desk.documents("decisions").values())
    assert [each["_id"] for each in decisions] == [number(partition, n) for n in (1, 2, 3, 4)]
    assert [each["previous"] for each in decisions] == [0, *(each["_id"] for each in decisions[:3])]
    assert [each["outcome"] for each in decisions] == [
        "followed",
        "accepted",
        "accepted",
        "refused",
    ]
    digest = decisions[2]["transaction"].pop("digest")
    assert isinstance(digest, bytes)
    assert decisions[2] == {
        "_id": number(partition, 3),
        "previous": number(partition, 2),
        "event": "e-checkout",
        "tenant": "demo",
        "customer": "anna",
        "action": "checkout",
        "at": at(3),
        "time": at(3),
        "program": 3,
        "outcome": "accepted",
        "facts": [
            {
                "type": "points_spent",
                "account": "main",
                "points": 30,
                "lots": [{"event": "e-add", "n": 0, "points": 30}],
            },
            {"type": "points_earned", "account": "main", "points": 12, "expires_at": None},
        ],
        "result": {
            "balances": {
                "main": {
                    "score": 42,
                    "spent": 30,
                    "pending": 0,
                    "reserved": 0,
                    "expired": 0,
                    "spendable": 12,
                }
            }
        },
        "transaction": {
            "id": "T-1",
            "account": "main",
            "total": 12000,
            "currency": "EUR",
            "rewarded": 12,
            "burned": 30,
        },
        "reply_to": "gateway-1/3",
    }
    assert decisions[3]["code"] == "insufficient_points"
    assert decisions[3]["details"] == {"account": "main", "missing": 87}
    assert desk.documents("states") == {
        "demo/anna": {
            "_id": "demo/anna",
            "tenant": "demo",
            "customer": "anna",
            "partition": partition,
            "standing": "active",
            "generation": 1,
            "since": 0,
            "accounts": {
                "main": {
                    "score": 42,
                    "spent": 30,
                    "pending": 0,
                    "reserved": 0,
                    "expired": 0,
                    "made": 2,
                    "due": None,
                    "first": 0,
                    "last": '[["e-checkout",0,12,0,0,"2026-03-01T09:00:03Z",null]]',
                }
            },
        }
    }
    assert desk.documents("lots") == {}
    assert desk.documents("closed") == {
        "demo/anna\x1f1/e-add/0/main": {
            "_id": "demo/anna\x1f1/e-add/0/main",
            "used": 30,
            "expired": 0,
        }
    }


def history() -> list[Submitted]:
    """Two customers through everything, a lot that is due within the second among it."""
    return [
        opt_in(),
        opt_in("bela"),
        add(10, expires_at="2026-03-01T09:00:07Z"),
        add(25),
        spend(5, "bela", account="credit"),
        checkout("100.00"),
        add(3, "bela", account="credit"),
        add(7),  # what was due goes first
        checkout("100.00"),  # again, under another event id
        checkout("100.01"),  # another content: refused
        spend(40),
        Submitted("bela", "suspend"),
        spend(1, "bela", account="credit"),
        add(50, "bela", account="credit"),
        checkout("5.00", "T-9", "guest-1", guest=True),
        opt_out("bela"),
        add(1, "bela"),
        opt_in("bela"),
        checkout("100.00", "T-1", "bela"),
        *(add(1) for _ in range(70)),
        spend(66),
        add(2),
    ]


def whole(desk: Desk, messages: Sequence[Message]) -> None:
    desk.batch(messages)


def one_by_one(desk: Desk, messages: Sequence[Message]) -> None:
    for message in messages:
        desk.batch([message])


def restarted(desk: Desk, messages: Sequence[Message]) -> None:
    for message in messages:
        desk.start()
        desk.batch([message])


def forgetful(desk: Desk, messages: Sequence[Message]) -> None:
    for start in range(0, len(messages), 3):
        desk.batch(messages[start : start + 3])
        desk.handler.forget(range(desk.settings.partitions))


def aborted(desk: Desk, messages: Sequence[Message]) -> None:
    for start in range(0, len(messages), 5):
        chunk = messages[start : start + 5]
        with pytest.raises(RuntimeError, match="pulled"):
            desk.commit(chunk, desk.decide(chunk), then=_plug_pulled)
        desk.batch(chunk)


def repeated(desk: Desk, messages: Sequence[Message]) -> None:
    for start in range(0, len(messages), 5):
        desk.batch(messages[start : start + 5])
        desk.batch(messages[max(0, start - 3) : start + 5])


def _plug_pulled() -> None:
    raise RuntimeError("the plug was pulled")


WAYS = [
    pytest.param(one_by_one, id="event by event"),
    pytest.param(restarted, id="by a new worker for each event"),
    pytest.param(forgetful, id="with nothing kept between batches"),
    pytest.param(aborted, id="each batch aborted before its commit and redone"),
    pytest.param(repeated, id="each batch delivered twice"),
]


@pytest.mark.parametrize("way", WAYS)
def test_however_the_log_is_cut_the_documents_are_the_same(
    desk: Desk, way: Callable[[Desk, Sequence[Message]], None]
) -> None:
    messages = desk.logged(*history())
    whole(desk, messages)
    at_once = stored(desk)
    desk.clear([*COLLECTIONS, "cursors"])
    desk.start()
    way(desk, messages)
    assert stored(desk) == at_once


def open_points(made: dict[str, dict[Any, Document]], customer: str) -> int:
    """What the customer's lots hold: in full pages, and in the last page that the state keeps."""
    pages = [each["lots"] for each in made["lots"].values() if each["customer"] == customer]
    full: int = sum(lot["points"] - lot["used"] for page in pages for lot in page)
    kept = [each["last"] for each in made["states"][customer]["accounts"].values()]
    last = [lot for text in kept if text for lot in json.loads(text)]
    return full + sum(int(points) - int(used) for _, _, points, used, *_ in last)


def test_a_history_adds_up(desk: Desk) -> None:
    messages = desk.logged(*history())
    whole(desk, messages)
    made = stored(desk)
    refused = [each["code"] for each in made["decisions"].values() if "code" in each]
    assert sorted(refused) == ["customer_opted_out", "customer_suspended", "transaction_exists"]
    assert len(made["decisions"]) == len(messages)
    anna = made["states"]["demo/anna"]["accounts"]["main"]
    assert (anna["score"], anna["spent"], anna["expired"]) == (124, 106, 10)
    assert {key: open_points(made, key) for key in made["states"]} == {
        "demo/anna": 8,
        "demo/bela": 10,
        "demo/guest-1": 1,
    }
    assert sum(lot["used"] for lot in made["closed"].values()) == 106 + 3


def test_what_was_announced_can_be_announced_again_word_for_word(desk: Desk) -> None:
    messages = desk.logged(*history())
    work = desk.decide(messages)
    desk.commit(messages, work)
    first = list(work.outgoing())
    again = [message for cursor in desk.cursors.values() for message in desk.handler.resend(cursor)]
    assert sorted(again, key=repr) == sorted(first, key=repr)


def test_a_repeated_checkout_is_told_what_the_first_one_was_told(desk: Desk) -> None:
    desk.batch(desk.logged(opt_in()))
    first, again = desk.outcomes(checkout("120.00", id="e-1"), checkout("120.00", id="e-2"))
    [later] = desk.outcomes(checkout("120.00", id="e-3"))
    desk.handler.forget(range(desk.settings.partitions))
    [much_later] = desk.outcomes(add(5), checkout("120.00", id="e-4"))[1:]
    told = {"facts", "balances", "recorded_at", "time", "status", "customer", "action"}
    for repeat, id_ in ((again, "e-2"), (later, "e-3"), (much_later, "e-4")):
        assert {name: repeat[name] for name in told} == {name: first[name] for name in told}
        assert (repeat["id"], repeat["duplicate"]) == (id_, True)
    assert desk.documents("states")["demo/anna"]["accounts"]["main"]["score"] == 17


def test_a_transaction_id_is_taken_per_tenant_and_customer_and_until_the_customer_leaves(
    desk: Desk,
) -> None:
    desk.configure("accounts", "main", {"name": "P", "currency_label": "p"}, tenant="other")
    desk.configure("settings", "settings", {"default_account": "main"}, tenant="other")
    desk.batch(desk.logged(opt_in(), opt_in("bela"), opt_in(tenant="other")))
    desk.batch(desk.logged(checkout("1.00")))
    told = desk.outcomes(
        checkout("2.00"), checkout("2.00", customer="bela"), checkout("2.00", tenant="other")
    )
    assert sorted(str(each.get("code", each["status"])) for each in told) == [
        "accepted",
        "accepted",
        "transaction_exists",
    ]
    desk.batch(desk.logged(opt_out(), opt_in()))
    [after] = desk.outcomes(checkout("2.00"))
    assert (after["status"], after["duplicate"]) == ("accepted", False)


def test_who_leaves_takes_all_lot_pages_along(desk: Desk) -> None:
    many = [add(1, customer) for customer in (ANNA, "bela") for _ in range(2 * PAGE_LOTS + 1)]
    desk.batch(desk.logged(opt_in(), opt_in("bela"), *many))
    assert len(desk.documents("lots")) == 4
    desk.start()
    desk.batch(desk.logged(opt_out()))
    assert list(desk.documents("lots")) == ["demo/bela/1/main/0", "demo/bela/1/main/1"]
    state = desk.documents("states")["demo/anna"]
    assert (state["standing"], state["generation"], state["accounts"]) == ("opted_out", 2, {})


def test_a_refused_guest_is_known_from_then_on(desk: Desk) -> None:
    [told] = desk.outcomes(checkout("1.00", customer="guest-1", guest=True, account="none"))
    assert told["code"] == "account_unknown"
    assert desk.documents("states")["demo/guest-1"]["standing"] == "inactive"
    [told] = desk.outcomes(add(1, "guest-1"))
    assert told["status"] == "accepted"


def test_a_message_that_cannot_be_read_is_dead_and_the_others_go_on(desk: Desk) -> None:
    broken, fine = desk.logged(add(1), opt_in())
    broken = Message(
        *(broken.topic, broken.partition, broken.offset, broken.key), b"?", broken.headers
    )
    work = desk.decide([broken, fine])
    desk.commit([broken, fine], work)
    assert [letter.message for letter in work.dead] == [broken]
    assert [each["action"] for each in desk.documents("decisions").values()] == ["opt_in"]


def test_another_owners_event_that_changes_nothing_here_leaves_no_decision(desk: Desk) -> None:
    assert desk.batch(desk.logged(Submitted(ANNA, "suspend"))) == []
    assert desk.documents("decisions") == {}


COSTS = [
    pytest.param([add(1)], ["states"], 1, {"decisions": 1, "states": 1}, id="earning"),
    pytest.param(
        [checkout("10.00", "T-new")],
        ["states", "decisions"],
        1,
        {"decisions": 1, "states": 1},
        id="a checkout",
    ),
    pytest.param(
        [add(1) for _ in range(20)],
        ["states"],
        1,
        {"decisions": 20, "states": 1},
        id="twenty earnings of one customer",
    ),
]


@pytest.mark.parametrize(("events", "finds", "read", "written"), COSTS)
@pytest.mark.parametrize("lots", [1, 33, 643])
def test_what_an_earning_costs_does_not_grow_with_the_history(
    desk: Desk,
    lots: int,
    events: list[Submitted],
    finds: list[str],
    read: int,
    written: dict[str, int],
) -> None:
    desk.batch(desk.logged(opt_in(), *(add(1) for _ in range(lots))))
    messages = desk.logged(*events)
    desk.start()
    desk.batch(desk.logged(opt_in("bela")))  # reads the program, which is kept
    desk.counted.reset()
    desk.batch(messages)
    assert (desk.counted.finds, desk.counted.documents) == (finds, read)
    assert desk.counted.written == written | {"cursors": 1}


def test_a_spend_reads_the_pages_that_hold_open_lots_and_no_others(desk: Desk) -> None:
    desk.batch(desk.logged(opt_in(), *(add(1) for _ in range(PAGE_LOTS * 5))))
    desk.batch(desk.logged(spend(PAGE_LOTS * 3)))
    desk.start()
    desk.batch(desk.logged(opt_in("bela")))
    desk.counted.reset()
    desk.batch(desk.logged(spend(1), checkout("1.00", points_burned=1), add(1)))
    assert sorted(desk.counted.finds) == ["decisions", "lots", "states"]
    assert desk.counted.documents == 1 + 2
    assert desk.documents("states")["demo/anna"]["accounts"]["main"]["first"] == 3


def test_nothing_is_decided_on_a_stored_state_that_does_not_add_up(desk: Desk) -> None:
    desk.batch(desk.logged(opt_in(), add(5)))
    states = desk.client[desk.settings.database("points")].states
    states.update_one({"_id": "demo/anna"}, {"$inc": {"accounts.main.spent": -1}})
    desk.start()
    with pytest.raises(BrokenInvariant, match=r"demo/anna, as it is stored.*laurel rebuild points"):
        desk.decide(desk.logged(add(1)))


def test_a_customer_that_was_just_decided_costs_no_find(desk: Desk) -> None:
    desk.batch(desk.logged(opt_in(), *(add(1) for _ in range(LOTS_KEPT_MAX))))
    desk.counted.reset()
    desk.batch(desk.logged(add(1), spend(2)))
    assert desk.counted.finds == []


def test_the_first_checkout_is_found_by_the_index_on_transactions(desk: Desk) -> None:
    desk.batch(desk.logged(opt_in(), checkout("1.00"), add(1)))
    decisions = desk.client[desk.settings.database("points")].decisions
    query = {"transaction.id": {"$in": ["T-1", "T-2"]}, "customer": {"$in": ["anna", "bela"]}}
    plan = decisions.find(query).explain()
    assert "transaction.id_1_customer_1" in json.dumps(plan["queryPlanner"]["winningPlan"])
    assert plan["executionStats"]["totalDocsExamined"] == 1
