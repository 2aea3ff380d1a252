"""The projector's promises, each in memory and on real servers."""

from collections.abc import Callable

import pytest

from shared.contracts.decisions import number
from shared.runtime.faults import STEPS, Step
from shared.runtime.messages import LOG_INPUT, facts_input
from shared.runtime.ownership import PositionLost
from shared.runtime.ports import (
    Conflict,
    Cursor,
    Document,
    Store,
    Transaction,
    Unavailable,
    UnknownCommit,
)
from tests.shared.ordeals import (
    Killed,
    Meddled,
    assert_exact,
    first_time,
    kill_at,
    raising,
    totals,
)
from tests.shared.worlds import (
    FACTS,
    LOG,
    World,
    caught_up,
    feed,
    log_headers,
    turn_until,
)


def test_each_message_counts_once(world: World) -> None:
    feed(world, 50)
    with world.worker() as worker:
        turn_until(worker, caught_up(world, 50))
    assert_exact(world, 50)
    assert totals(world)["c0-1"] == 17


def test_a_message_sent_again_is_dropped_by_its_number(world: World) -> None:
    feed(world, 10)
    feed(world, 10)
    feed(world, 5, start=11)
    with world.worker() as worker:
        turn_until(worker, caught_up(world, 15))
    assert_exact(world, 15)


def test_a_gap_stops_its_partition_and_no_other(world: World) -> None:
    feed(world, 5)
    world.send(LOG, 0, log_headers(7, "c0-1"), b"1")
    feed(world, 3, start=6, partitions=[1])
    with world.worker() as worker:
        turn_until(worker, lambda: bool(worker.owned.broken) and caught_up(world, 8, [1])())
        assert "number 7 follows 6, but 5 is the last one seen" in worker.unready()
    assert world.cursor(0).seen[LOG] == 5


def test_another_log_is_refused(world: World) -> None:
    feed(world, 2, partitions=[0])
    world.send(LOG, 0, log_headers(3, "c0-0", lineage="a-log-made-anew"), b"1")
    with world.worker() as worker:
        turn_until(worker, lambda: bool(worker.owned.broken))
        assert "belongs to log a-log-made-anew" in worker.unready()


def test_what_cannot_be_read_goes_to_the_dead_topic_and_the_rest_goes_on(world: World) -> None:
    feed(world, 2, partitions=[0])
    world.send(LOG, 0, None, b"\xff\x00")
    world.send(LOG, 0, log_headers(3, "c0-0"), b"not a number")
    feed(world, 1, start=4, partitions=[0])
    with world.worker() as worker:
        turn_until(worker, caught_up(world, 4, [0]))
    letters = world.read("events.log.dead")
    assert [value for _, value in letters] == [b"\xff\x00", b"not a number"]
    assert [headers["dead_offset"] for headers, _ in letters] == ["2", "3"]
    assert {headers["dead_topic"] for headers, _ in letters} == {LOG}
    assert sum(totals(world).values()) == 3


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_at_any_step_loses_and_doubles_nothing(world: World, step: Step) -> None:
    feed(world, 20)
    with world.worker(reached=kill_at(step)) as worker, pytest.raises(Killed):
        turn_until(worker, lambda: False)
    feed(world, 20, start=21)
    with world.worker(reached=kill_at(step)) as worker, pytest.raises(Killed):
        turn_until(worker, lambda: False)
    with world.worker() as worker:
        turn_until(worker, caught_up(world, 40))
        feed(world, 1, start=41)
        turn_until(worker, caught_up(world, 41))
    assert_exact(world, 41)


@pytest.mark.parametrize(
    "meddle",
    [
        pytest.param(
            raising(UnknownCommit("no answer"), before=False), id="committed, answer lost"
        ),
        pytest.param(
            raising(UnknownCommit("no answer"), before=True), id="not committed, answer lost"
        ),
        pytest.param(raising(Conflict("somebody wrote"), before=True), id="write conflict"),
        pytest.param(raising(Unavailable("no primary"), before=True), id="database away"),
    ],
)
def test_a_transaction_that_goes_wrong_is_settled(
    world: World, meddle: Callable[[Callable[[], None]], None]
) -> None:
    feed(world, 20)
    with world.worker(wrap=first_time(meddle)) as worker:
        turn_until(worker, caught_up(world, 20))
        feed(world, 1, start=21)
        turn_until(worker, caught_up(world, 21))
    assert_exact(world, 21)


def test_a_batch_that_keeps_conflicting_is_halved(world: World) -> None:
    feed(world, 8, partitions=[0])
    sizes: list[int] = []

    def around(transact: Callable[[], None]) -> None:
        before = len(world.documents("decisions"))
        transact()
        sizes.append(len(world.documents("decisions")) - before)

    class TooLarge(Meddled):
        def transact(self, body: Callable[[Transaction], None]) -> None:
            def counted(transaction: Transaction) -> None:
                body(transaction)
                if len(transaction.find("decisions")) - sum(sizes) > 4:
                    raise Conflict("transaction too large")

            self._around(lambda: self._store.transact(counted))

    with world.worker(wrap=lambda store: TooLarge(store, around)) as worker:
        turn_until(worker, caught_up(world, 8, [0]))
    assert max(sizes) <= 4
    assert_exact(world, 8, [0])


def test_a_zombie_is_refused_by_the_epoch(world: World) -> None:
    feed(world, 10)
    other: list[Document] = []

    def take_partitions_over(transact: Callable[[], None]) -> None:
        # What a new owner does while we hold a decided batch: it raises the epoch.
        for partition in (0, 1):
            taken = stores[-1].take_over(partition)
            other.append({"epoch": taken.epoch})
        transact()

    stores: list[Store] = []

    def wrap(store: Store) -> Store:
        stores.append(store)
        meddled: Store = first_time(take_partitions_over)(store)
        return meddled

    with world.worker(wrap=wrap) as worker:
        turn_until(worker, lambda: bool(other) and not worker.owned.cursors.keys() & {0, 1})
        assert world.documents("decisions") == []
    with world.worker() as worker:
        turn_until(worker, caught_up(world, 10))
    assert_exact(world, 10)


def test_a_followed_input_comes_and_goes_with_the_log(world: World) -> None:
    feed(world, 3, partitions=[0])
    headers = log_headers(9, "c0-0") | {"decision": str(number(0, 1)), "previous": "0"}
    world.send("customers.facts", 0, headers, b"5")
    with world.worker(inputs=(LOG_INPUT, facts_input("customers"))) as worker:
        turn_until(
            worker,
            lambda: caught_up(world, 3, [0])() and "customers.facts" in world.cursor(0).seen,
        )
    assert totals(world)["c0-0"] == 6
    with world.worker(inputs=(LOG_INPUT, facts_input("customers"))) as worker:
        world.send("customers.facts", 0, headers, b"5")  # again: dropped by its number
        feed(world, 1, start=4, partitions=[0])
        turn_until(worker, caught_up(world, 4, [0]))
    assert totals(world)["c0-0"] == 6


def test_a_restart_sends_again_only_what_was_not_acknowledged(world: World) -> None:
    feed(world, 10, partitions=[0])
    with world.worker() as worker:
        turn_until(worker, caught_up(world, 10, [0]))
        feed(world, 5, start=11, partitions=[0])
        turn_until(worker, caught_up(world, 15, [0]))
    with world.worker() as worker:
        turn_until(worker, lambda: worker.owned.joined and not worker.owned.fresh)
        feed(world, 1, start=16, partitions=[0])
        turn_until(worker, caught_up(world, 16, [0]))
    announced = [int(headers["decision"]) for headers, _ in world.read(FACTS)]
    assert len(announced) <= 16 + 15, "at most one batch is sent again"
    assert_exact(world, 16, [0])


def test_a_position_behind_the_end_of_the_topic_stops_with_a_sentence(world: World) -> None:
    feed(world, 3, partitions=[0])
    with world.worker() as worker:
        turn_until(worker, caught_up(world, 3, [0]))
    with world.worker(wrap=Ahead) as worker, pytest.raises(PositionLost, match="is 1000, but"):
        turn_until(worker, lambda: False)


class Ahead(Meddled):
    """A database that knows more than the log holds."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, lambda transact: transact())

    def take_over(self, partition: int) -> Cursor:
        cursor = super().take_over(partition)
        return Cursor(partition, cursor.epoch, next={LOG: 1000})
