"""Inputs past their retention: the archive to its end, then Kafka, with nothing lost or doubled."""

import pytest

from shared.contracts.decisions import number
from shared.runtime.faults import STEPS, Step
from shared.runtime.messages import INBOX_INPUT, LOG_INPUT, facts_input
from shared.runtime.ownership import PositionLost
from shared.runtime.projector import Projector
from tests.shared.ordeals import Killed, assert_exact, kill_at, totals
from tests.shared.worlds import LOG, World, caught_up, feed, keep, turn_until

CHUNK = 7


def in_small_chunks(worker: Projector) -> Projector:
    """So that a few dozen messages are many chunks, which end in the middle of a batch."""
    worker._hand_over.chunk_messages = CHUNK
    return worker


def past_retention(world: World, gone: int, *, kept: int, fed: int) -> None:
    """A topic of `fed` messages in each partition without its first `gone`; the archive has the
    first `kept`."""
    feed(world, fed)
    keep(world, kept)
    for partition in (0, 1):
        world.delete_before(LOG, partition, gone)


def test_a_new_service_reads_what_the_topic_has_no_longer(world: World) -> None:
    past_retention(world, 30, kept=50, fed=60)
    with world.worker() as worker:
        turn_until(in_small_chunks(worker), caught_up(world, 60))
        assert not worker.owned.broken
    assert_exact(world, 60)


def test_a_service_that_was_away_goes_on_behind_what_it_has_seen(world: World) -> None:
    feed(world, 20)
    with world.worker() as worker:
        turn_until(worker, caught_up(world, 20))
    feed(world, 40, start=21)
    keep(world, 60)
    for partition in (0, 1):
        world.delete_before(LOG, partition, 45)
    with world.worker() as worker:
        turn_until(in_small_chunks(worker), caught_up(world, 60))
    assert_exact(world, 60)


def test_a_topic_that_has_nothing_left_is_the_archive_and_what_comes(world: World) -> None:
    past_retention(world, 20, kept=20, fed=20)
    with world.worker() as worker:
        turn_until(in_small_chunks(worker), caught_up(world, 20))
    with world.worker() as worker:
        feed(world, 5, start=21)
        turn_until(worker, caught_up(world, 25))
    assert_exact(world, 25)


def test_partitions_that_have_everything_do_not_wait_for_those_that_have_not(world: World) -> None:
    feed(world, 30)
    keep(world, 30, partitions=[0])
    world.delete_before(LOG, 0, 15)
    with world.worker() as worker:
        turn_until(in_small_chunks(worker), caught_up(world, 30, [1]))
        turn_until(worker, caught_up(world, 30))
    assert_exact(world, 30)


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_in_the_archive_goes_on_from_what_is_committed(world: World, step: Step) -> None:
    past_retention(world, 30, kept=40, fed=40)
    for passage in (1, 2):
        with world.worker(reached=kill_at(step, passage)) as worker, pytest.raises(Killed):
            turn_until(in_small_chunks(worker), lambda: False)
    with world.worker() as worker:
        turn_until(in_small_chunks(worker), caught_up(world, 40))
        feed(world, 1, start=41)
        turn_until(worker, caught_up(world, 41))
    assert_exact(world, 41)


def test_each_input_is_handed_over_for_itself(world: World) -> None:
    past_retention(world, 10, kept=20, fed=20)
    decided = [number(0, 1_000 + step) for step in range(20)]
    world.keep_facts("customers", 0, decided)
    for _ in decided:
        world.send("customers.facts", 0, None, b"gone by now")
    world.delete_before("customers.facts", 0, len(decided))
    with world.worker(inputs=(LOG_INPUT, facts_input("customers"))) as worker:
        turn_until(
            in_small_chunks(worker),
            lambda: (
                caught_up(world, 20)()
                and world.cursor(0).seen.get("customers.facts") == decided[-1]
            ),
        )
    assert sum(totals(world).values()) == 2 * 20 + 5 * len(decided)


def test_an_archive_that_ends_too_early_is_a_gap_and_not_a_loss(world: World) -> None:
    past_retention(world, 30, kept=25, fed=40)
    with world.worker() as worker:
        turn_until(in_small_chunks(worker), lambda: worker.owned.broken.keys() == {0, 1})
        assert "number 31 follows 30, but 25 is the last one seen here" in worker.unready()


def test_an_archive_with_a_hole_stops_the_partition(world: World) -> None:
    past_retention(world, 30, kept=10, fed=30)
    keep(world, 9, start=12)
    with world.worker() as worker:
        turn_until(in_small_chunks(worker), lambda: worker.owned.broken.keys() == {0, 1})
        assert "in the archive: number 12 follows 11, but 10 is the last one" in worker.unready()


def test_what_has_no_numbers_has_no_archive(world: World) -> None:
    for _ in range(5):
        world.send("events.inbox", 0, None, b"1")
    world.delete_before("events.inbox", 0, 3)
    with (
        world.worker(inputs=(INBOX_INPUT,)) as worker,
        pytest.raises(PositionLost, match=r"begins at 3: what lies between was never taken in"),
    ):
        turn_until(worker, lambda: False)
