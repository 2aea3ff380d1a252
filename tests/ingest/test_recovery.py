"""A journal's database older than its log: refused at the start, and rebuilt from the log."""

from collections.abc import Iterable
from contextlib import closing
from datetime import timedelta

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from services.ingest import recovery
from services.ingest.app import build_journal
from services.ingest.domain.sequence import GENESIS, chained, record
from services.ingest.missing import RecoveryRefused
from services.ingest.recovery import Plan
from services.ingest.tail import LogAhead
from shared.contracts.partitions import partition_of
from shared.runtime.kafka import ends, open_reader, producer_settings
from shared.runtime.log import stored_event
from shared.runtime.messages import bytes_headers
from shared.runtime.ports import Document, Message
from shared.runtime.settings import Settings
from tests.ingest.journal_desk import Desk, on_log

COLLECTIONS = ("events", "batches", "cursors", "log")
Copy = dict[str, list[Document]]


class Broker:
    """The real one: what the journal announced is put there by hand."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = Producer(producer_settings(settings, "test"))

    def send(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._producer.produce(
                self._settings.topic(message.topic),
                message.value,
                message.key,
                message.partition,
                headers=[*bytes_headers(message.headers)],
            )
        assert self._producer.flush(30) == 0

    def delete(self, topic: str, *, but_last: int = 0) -> None:
        """As retention does, in every partition."""
        name = self._settings.topic(topic)
        with closing(open_reader(self._settings)) as reader:
            highs = {p: high for p, (_, high) in ends(reader, name, 8, 30).items()}
        admin = AdminClient({"bootstrap.servers": self._settings.kafka_servers})
        places = [TopicPartition(name, p, high - but_last) for p, high in highs.items()]
        for deleted in admin.delete_records(places).values():
            deleted.result(30)


@pytest.fixture
def broker(settings: Settings) -> Broker:
    return Broker(settings)


def worked(desk: Desk, broker: Broker, *names: str) -> list[Message]:
    """A batch for each name, in which each of a few customers sends an event; on the log."""
    announced = []
    for name in names:
        desk.now += timedelta(seconds=40)
        customers = [f"c-{number}" for number in range(12)]
        announced += on_log(desk.batch([desk.message(f"{name}-{c}", c) for c in customers]))
    broker.send(announced)
    return announced


def copied(desk: Desk) -> Copy:
    return {name: list(desk.database[name].find().sort("_id", 1)) for name in COLLECTIONS}


def put_back(desk: Desk, copy: Copy) -> None:
    for name, documents in copy.items():
        desk.database[name].drop()
        if documents:
            desk.database[name].insert_many(documents)


def nothing(done: int, total: int) -> None:
    """Nobody watches."""


def recovered(settings: Settings) -> Plan:
    """One whole run; the plan that it carried out."""
    with recovery.opened(settings) as run:
        plan = run.look(nothing)
        run.carry_out(plan, nothing)
    return plan


def looked(settings: Settings) -> Plan:
    with recovery.opened(settings) as run:
        return run.look(nothing)


def assert_as_before(desk: Desk, before: Copy) -> None:
    """Every event is the same document; batches chain; the cursors stand where they stood."""
    after = copied(desk)
    assert after["events"] == before["events"]
    assert after["log"] == before["log"]
    by_key = {event["_id"]: event for event in after["events"]}
    hashes: dict[int, bytes] = {}
    for batch in after["batches"]:
        partition = batch["_id"] >> 40
        events = [by_key.pop(key) for key in batch["keys"]]
        assert batch["previous_hash"] == hashes.get(partition, GENESIS)
        hashes[partition] = chained(batch["previous_hash"], [record(event) for event in events])
        assert batch["hash"] == hashes[partition]
    assert not by_key, "events that are in no batch"
    for cursor, was in zip(after["cursors"], before["cursors"], strict=True):
        assert cursor["last"] == was["last"]
        assert cursor["marks"] == was["marks"] | {"hash": hashes[cursor["_id"]]}


def test_what_is_stored_from_the_log_is_what_was_stored(desk: Desk) -> None:
    work = desk.batch([desk.message("e-1", reply_to="gateway-1/7", cause="e-0", hops="3")])
    stored = {event["id"]: event for event in desk.database.events.find()}
    assert len(stored) == 1 + desk.settings.partitions, "an event, and a tick in each partition"
    for message in on_log(work):
        event = stored_event(message)
        assert event | {"_id": bytes(event["_id"])} == stored[event["id"]]


def test_a_journal_starts_where_all_is_well(desk: Desk, broker: Broker, settings: Settings) -> None:
    build_journal(settings, desk.database.client)
    worked(desk, broker, "a", "b")
    build_journal(settings, desk.database.client)
    desk.batch([desk.message("not announced yet")])
    build_journal(settings, desk.database.client)
    assert looked(settings).is_empty


def test_a_restored_journal_refuses_and_is_rebuilt(
    desk: Desk, broker: Broker, settings: Settings
) -> None:
    worked(desk, broker, "a", "b")
    an_hour_ago = copied(desk)
    worked(desk, broker, "c", "d", "e")
    before = copied(desk)
    put_back(desk, an_hour_ago)
    with pytest.raises(LogAhead, match=r"partition 0 has number \d+, but .* ends at \d+: "):
        build_journal(settings, desk.database.client)
    plan = recovered(settings)
    assert sum(each.count for each in plan.missing) == len(before["events"]) - len(
        an_hour_ago["events"]
    )
    assert_as_before(desk, before)
    build_journal(settings, desk.database.client)
    assert looked(settings).is_empty


def test_a_database_that_is_gone_is_rebuilt_whole(
    desk: Desk, broker: Broker, settings: Settings
) -> None:
    worked(desk, broker, "a", "b", "c")
    before = copied(desk)
    desk.database.client.drop_database(desk.database.name)
    with pytest.raises(LogAhead, match="ends at 0"):
        build_journal(settings, desk.database.client)
    recovered(settings)
    assert_as_before(desk, before)
    build_journal(settings, desk.database.client)


def test_a_recovery_that_was_ended_goes_on(desk: Desk, broker: Broker, settings: Settings) -> None:
    worked(desk, broker, "a")
    an_hour_ago = copied(desk)
    worked(desk, broker, "b", "c")
    before = copied(desk)
    put_back(desk, an_hour_ago)

    class Ended(Exception):
        """As if the process were killed."""

    def end(done: int, total: int) -> None:
        if done == total * 2 // 3:
            raise Ended

    with recovery.opened(settings) as run, pytest.raises(Ended):
        run.carry_out(run.look(nothing), end)
    assert len(an_hour_ago["events"]) < len(copied(desk)["events"]) < len(before["events"])
    recovered(settings)
    assert_as_before(desk, before)


def test_what_was_announced_twice_or_is_foreign_is_passed_over(
    desk: Desk, broker: Broker, settings: Settings
) -> None:
    first = worked(desk, broker, "a")
    an_hour_ago = copied(desk)
    second = worked(desk, broker, "b")
    broker.send([replaced(second[0], headers={}), *first, *second])
    before = copied(desk)
    put_back(desk, an_hour_ago)
    recovered(settings)
    assert_as_before(desk, before)


def replaced(message: Message, headers: dict[str, str]) -> Message:
    return Message("events.log", message.partition, 0, b"", b"what is this", headers)


def test_a_log_with_a_hole_is_refused(desk: Desk, broker: Broker, settings: Settings) -> None:
    worked(desk, broker, "a")
    an_hour_ago = copied(desk)
    desk.batch([desk.message(f"never announced-{n}", f"c-{n}") for n in range(12)])
    worked(desk, broker, "b")
    put_back(desk, an_hour_ago)
    with pytest.raises(RecoveryRefused, match="messages are missing in the log itself"):
        looked(settings)
    assert copied(desk)["events"] == an_hour_ago["events"]


def test_a_log_that_begins_too_late_is_refused(
    desk: Desk, broker: Broker, settings: Settings
) -> None:
    worked(desk, broker, "a")
    an_hour_ago = copied(desk)
    worked(desk, broker, "b", "c", "d")
    broker.delete("events.log", but_last=1)
    put_back(desk, an_hour_ago)
    with pytest.raises(RecoveryRefused, match=r"begins at number \d+ by now, .* past their"):
        looked(settings)


def test_another_log_is_refused(desk: Desk, broker: Broker, settings: Settings) -> None:
    worked(desk, broker, "a")
    desk.database.log.update_one({}, {"$set": {"lineage": "another"}})
    with pytest.raises(LogAhead, match="the journal's database made log another: one of them"):
        build_journal(settings, desk.database.client)
    with pytest.raises(RecoveryRefused, match="the journal's database made log another"):
        looked(settings)


def test_a_copy_that_is_not_of_one_moment_is_refused(
    desk: Desk, broker: Broker, settings: Settings
) -> None:
    worked(desk, broker, "a")
    an_hour_ago = copied(desk)
    worked(desk, broker, "b")
    put_back(desk, an_hour_ago | {"events": copied(desk)["events"]})
    with pytest.raises(RecoveryRefused, match="no copy of one moment"):
        recovered(settings)


@pytest.mark.parametrize("journal_too", [True, False], ids=["with the journal", "alone"])
def test_a_program_that_lost_changes_goes_on_behind_them(
    desk: Desk, broker: Broker, settings: Settings, *, journal_too: bool
) -> None:
    desk.program.heads.insert_many([{"_id": "demo", "version": 3}, {"_id": "other", "version": 9}])
    worked(desk, broker, "a")
    an_hour_ago = copied(desk)
    desk.program.heads.update_one({"_id": "demo"}, {"$set": {"version": 7}})
    worked(desk, broker, "b", "c")
    desk.program.heads.update_one({"_id": "demo"}, {"$set": {"version": 3}})
    if journal_too:
        put_back(desk, an_hour_ago)
    else:
        broker.delete("events.log")
        with pytest.raises(LogAhead, match="tenant demo is at version 3, but version 7 was"):
            build_journal(settings, desk.database.client)
    assert recovered(settings).programs == {"demo": (3, 7)}
    versions = {head["_id"]: head["version"] for head in desk.program.heads.find()}
    assert versions == {"demo": 7, "other": 9}
    build_journal(settings, desk.database.client)
    assert looked(settings).is_empty


def test_an_inbox_past_its_retention_is_read_from_where_it_begins(
    desk: Desk, broker: Broker, settings: Settings
) -> None:
    worked(desk, broker, "a")
    partition = partition_of(b"demo/c-1", settings.partitions)
    for _ in range(40):
        broker.send([Message("events.inbox", partition, 0, b"demo/c-1", b"lost", {})])
    broker.delete("events.inbox")
    known = desk.cursors[partition].next["events.inbox"]
    assert recovered(settings).inbox == {partition: (known, 40)}
    desk.take_over(partition)
    assert desk.cursors[partition].next["events.inbox"] == 40
    assert looked(settings).is_empty


def test_a_journal_that_runs_after_all_is_fenced(
    desk: Desk, broker: Broker, settings: Settings
) -> None:
    worked(desk, broker, "a")
    an_hour_ago = copied(desk)
    worked(desk, broker, "b")
    put_back(desk, an_hour_ago)
    with recovery.opened(settings) as run:
        plan = run.look(nothing)
        desk.take_over(*range(settings.partitions))
        with pytest.raises(RecoveryRefused, match="a journal worker took partition 0 over"):
            run.carry_out(plan, nothing)
    assert copied(desk)["events"] == an_hour_ago["events"]
    recovered(settings)
    held = desk.database.cursors.find_one({"_id": 0})
    assert held is not None
    assert (held["session"], held["worker"]) == (None, "")


def test_nobody_is_in_the_group_of_a_journal_that_never_ran(settings: Settings) -> None:
    assert recovery.running_workers(settings) == []
