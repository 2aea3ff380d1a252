"""The service on a real mongod: profiles, decisions and what is announced."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from shared.contracts.decisions import number
from shared.contracts.partitions import partition_of
from shared.runtime.ports import Message
from tests.points.desk import START, Desk, Submitted, announced

COLLECTIONS = ("decisions", "profiles")
GUEST = {"transaction_id": "T-1", "total": "1.00", "currency": "EUR", "guest": True}


def of_anna(action: str, **data: Any) -> Submitted:
    return Submitted("anna", action, data)


def history() -> list[Submitted]:
    return [
        Submitted("guest-1", "checkout", GUEST),
        of_anna("opt_in", labels=["vip"]),
        of_anna("point_add", points=5),
        of_anna("suspend", reason="fraud"),
        of_anna("opt_in"),
        of_anna("unsuspend"),
        of_anna("opt_out"),
        Submitted("guest-1", "opt_in"),
        of_anna("opt_in"),
        Submitted("bela", "suspend"),
    ]


def test_a_profile_is_one_document_and_only_what_concerns_us_is_decided(desk: Desk) -> None:
    desk.batch(desk.logged(*history()))
    partition = partition_of(b"demo/anna", desk.settings.partitions)
    assert desk.documents("profiles")["demo/anna"] == {
        "_id": "demo/anna",
        "tenant": "demo",
        "customer": "anna",
        "partition": partition,
        "standing": "active",
        "generation": 2,
        "since": number(partition, 6, 1),
        "opted_in_at": desk.documents("decisions")[number(partition, 7)]["time"],
        "labels": [],
    }
    assert [
        (each["customer"], each["action"], each["outcome"], each["result"].get("status"))
        for each in sorted(desk.documents("decisions").values(), key=lambda each: each["at"])
    ] == [
        ("guest-1", "checkout", "followed", "inactive"),
        ("anna", "opt_in", "accepted", "active"),
        ("anna", "suspend", "accepted", "suspended"),
        ("anna", "opt_in", "refused", "suspended"),
        ("anna", "unsuspend", "accepted", "active"),
        ("anna", "opt_out", "accepted", "opted_out"),
        ("guest-1", "opt_in", "accepted", "active"),
        ("anna", "opt_in", "accepted", "active"),
        ("bela", "suspend", "refused", None),
    ]


def test_who_waits_is_told_the_status(desk: Desk) -> None:
    [told] = desk.outcomes(of_anna("opt_in", labels=["vip"]))
    assert (told["status"], told["facts"]) == (
        "accepted",
        [{"type": "customer_opted_in", "generation": 1, "labels": ["vip"]}],
    )
    [told] = desk.outcomes(of_anna("opt_in"))
    assert (told["code"], told["status"]) == ("already_opted_in", 409)


def test_a_follower_tells_nobody(desk: Desk) -> None:
    assert desk.outcomes(Submitted("guest-1", "checkout", GUEST)) == []


def one_by_one(desk: Desk, messages: Sequence[Message]) -> None:
    for message in messages:
        desk.batch([message])


def restarted(desk: Desk, messages: Sequence[Message]) -> None:
    for message in messages:
        desk.start()
        desk.batch([message])


def aborted(desk: Desk, messages: Sequence[Message]) -> None:
    with pytest.raises(RuntimeError, match="pulled"):
        desk.commit(messages, desk.decide(messages), then=_plug_pulled)
    desk.batch(messages)


def repeated(desk: Desk, messages: Sequence[Message]) -> None:
    for start in range(0, len(messages), 4):
        desk.batch(messages[start : start + 4])
        desk.batch(messages[max(0, start - 3) : start + 4])


def _plug_pulled() -> None:
    raise RuntimeError("the plug was pulled")


WAYS = [
    pytest.param(one_by_one, id="event by event"),
    pytest.param(restarted, id="by a new worker for each event"),
    pytest.param(aborted, id="aborted before the commit and redone"),
    pytest.param(repeated, id="each batch delivered twice"),
]


@pytest.mark.parametrize("way", WAYS)
def test_however_the_log_is_cut_the_documents_are_the_same(
    desk: Desk, way: Callable[[Desk, Sequence[Message]], None]
) -> None:
    messages = desk.logged(*history())
    desk.batch(messages)
    at_once = {name: desk.documents(name) for name in COLLECTIONS}
    desk.clear([*COLLECTIONS, "cursors"])
    desk.start()
    way(desk, messages)
    assert {name: desk.documents(name) for name in COLLECTIONS} == at_once


def test_what_was_announced_can_be_announced_again_word_for_word(desk: Desk) -> None:
    messages = desk.logged(*history())
    work = desk.decide(messages)
    desk.commit(messages, work)
    first = announced(work.outgoing())
    again = [
        message
        for cursor in desk.cursors.values()
        for message in announced(desk.handler.resend(cursor))
    ]
    assert sorted(again, key=repr) == sorted(first, key=repr)


def test_a_batch_needs_one_find_and_a_known_customer_none(desk: Desk) -> None:
    desk.batch(desk.logged(Submitted("bela", "opt_in")))  # reads the program, which is kept
    desk.counted.reset()
    desk.batch(desk.logged(*history()))
    assert desk.counted.finds == ["profiles"]
    desk.counted.reset()
    desk.batch(desk.logged(of_anna("suspend")))
    assert desk.counted.finds == []


def test_time_is_when_it_happened(desk: Desk) -> None:
    desk.batch(desk.logged(of_anna("opt_in")))
    assert desk.documents("profiles")["demo/anna"]["opted_in_at"] > START
