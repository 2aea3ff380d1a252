"""The journal on a real mongod: what a batch stores, chains, answers and announces."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from services.ingest.domain.sequence import GENESIS, chained, record
from services.ingest.journal import Sequenced
from shared.runtime import metrics
from shared.runtime.messages import is_tick, read_event, read_tick
from shared.runtime.ports import Message, Outgoing
from tests.ingest.journal_desk import START, Desk, on_log, texts


def events_of(work: Sequenced) -> list[Message]:
    return [message for message in on_log(work) if not is_tick(message)]


def answers(work: Sequenced) -> list[dict[str, Any]]:
    return [json.loads(out.value) for out in work.outgoing() if out.topic == "events.outcomes"]


def test_a_new_event_is_numbered_stamped_stored_and_announced(desk: Desk) -> None:
    desk.program.heads.insert_one({"_id": "demo", "version": 41})
    (announced,) = events_of(desk.batch([desk.message("e-1")]))
    event = read_event(announced)
    assert (event.seq, event.program, event.recorded_at, event.time) == (2, 41, START, START)
    stored = desk.database.events.find_one({"id": "e-1"})
    assert stored is not None
    assert stored["body"].encode() == announced.value
    assert (stored["seq"], stored["program"], stored["at"]) == (2, 41, START)


def test_each_minute_ticks_once_in_every_partition(desk: Desk) -> None:
    desk.program.heads.insert_one({"_id": "demo", "version": 3})
    first = on_log(desk.batch([]))
    assert len(first) == desk.settings.partitions
    assert not desk.journal.due(desk.cursors)
    desk.now += timedelta(minutes=5)
    assert desk.journal.due(desk.cursors)
    second = [read_tick(message) for message in on_log(desk.batch([]))]
    assert len(second) == desk.settings.partitions
    assert {tick.as_of for tick in second} == {START.replace(second=0) + timedelta(minutes=5)}
    assert {tick.previous for tick in second} == {START.replace(second=0)}
    assert second[0].programs == {"demo": 3}


def test_a_repeat_is_answered_with_the_place_of_the_first(desk: Desk) -> None:
    first, again = desk.message("e-1"), desk.message("e-1", reply_to="gateway-1/7")
    together = desk.batch([first, again])
    assert len(events_of(together)) == 1
    later = desk.batch([desk.message("e-1", reply_to="gateway-1/8"), desk.message("e-1")])
    assert events_of(later) == []
    place = {"partition": first.partition, "seq": 2}
    assert answers(together) + answers(later) == [{"id": "e-1", "repeat_of": place}] * 2


def test_an_id_with_other_content_is_a_conflict_also_of_another_customer(desk: Desk) -> None:
    desk.batch([desk.message("e-1")])
    other = desk.message("e-1", points=6, reply_to="gateway-1/1")
    elsewhere = desk.message("e-1", customer="c-2", reply_to="gateway-1/2")
    work = desk.batch([other, elsewhere])
    assert events_of(work) == []
    assert [answer["code"] for answer in answers(work)] == ["event_conflict"] * 2


def test_batches_chain_their_hashes_over_every_stored_event(desk: Desk) -> None:
    for number in range(5):
        desk.now += timedelta(seconds=40)
        names = (f"c-{customer}" for customer in range(6))
        desk.batch([desk.message(f"e-{number}-{name}", name) for name in names])
    for partition in range(desk.settings.partitions):
        previous = GENESIS
        wanted = {"$gte": partition << 40, "$lt": partition + 1 << 40}
        seqs: list[int] = []
        for batch in desk.database.batches.find({"_id": wanted}).sort("_id", 1):
            events = {
                each["_id"]: each for each in desk.database.events.find({"partition": partition})
            }
            members = [events[key] for key in batch["keys"]]
            assert batch["previous_hash"] == previous
            assert batch["hash"] == chained(previous, [record(event) for event in members])
            previous = batch["hash"]
            seqs += [event["seq"] for event in members]
        assert seqs == list(range(1, len(seqs) + 1))


def test_what_is_sent_again_is_what_was_sent(desk: Desk) -> None:
    sent = [
        message
        for number in range(3)
        for message in on_log(desk.batch([desk.message(f"e-{number}", f"c-{number}")]))
    ]
    again = [
        out
        for cursor in desk.cursors.values()
        for out in desk.journal.resend(replace(cursor, announced=0))
    ]
    key = lambda item: (item.partition, int(_header(item, "seq")))  # noqa: E731
    assert [(m.value, m.headers) for m in sorted(sent, key=key)] == [
        (out.value, texts(out)) for out in sorted(again, key=key)
    ]


def _header(item: Message | Outgoing, name: str) -> str:
    return item.headers[name] if isinstance(item, Message) else texts(item)[name]


def test_a_batch_counts_what_its_events_were_once_it_is_committed(desk: Desk) -> None:
    def counted() -> list[float]:
        results = ("recorded", "repeated", "conflict")
        return [metrics.JOURNAL_EVENTS.labels(result)._value.get() for result in results]

    before = counted()
    messages = [desk.message("e-1"), desk.message("e-1"), desk.message("e-1", points=6)]
    work = desk.batch(messages)
    assert counted() == before
    work.committed()
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1, 1]
