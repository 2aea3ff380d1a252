"""A lent partition: a rebuild takes it, gives it back, and its worker goes on by itself."""

import time

import pytest

from shared.runtime.ownership import FENCED_SECONDS_MAX, LENT_SECONDS_MAX
from shared.runtime.ports import Unavailable
from shared.runtime.projector import Projector
from tests.shared.ordeals import assert_exact
from tests.shared.worlds import World, caught_up, feed, turn_until

BOTH = (0, 1)


def fenced(worker: Projector) -> bool:
    return not worker.owned.cursors.keys() & set(BOTH)


def pretend_fenced_for(worker: Projector, seconds: float) -> None:
    for entry in worker.owned._fenced.values():
        entry.since = time.monotonic() - seconds


def test_what_is_given_back_is_taken_over_again_where_it_stood(world: World) -> None:
    feed(world, 20)
    with world.worker() as worker, world.another("rebuild-points") as rebuild:
        turn_until(worker, caught_up(world, 20))
        for partition in BOTH:
            rebuild.take_over(partition)
        feed(world, 20, start=21)
        turn_until(worker, lambda: fenced(worker))
        feed(world, 20, start=41)
        assert len(world.documents("decisions")) == 40, "somebody else holds the partitions"
        rebuild.give_back(BOTH)
        turn_until(worker, caught_up(world, 60))
    assert_exact(world, 60)


def test_a_worker_that_was_idle_meanwhile_notices_with_its_next_batch(world: World) -> None:
    feed(world, 5)
    with world.worker() as worker, world.another("rebuild-points") as rebuild:
        turn_until(worker, caught_up(world, 5))
        for partition in BOTH:
            rebuild.take_over(partition)
        rebuild.give_back(BOTH)
        feed(world, 5, start=6)
        turn_until(worker, caught_up(world, 10))
        assert {world.cursor(partition).epoch for partition in BOTH} == {3}
    assert_exact(world, 10)


def test_one_partition_is_lent_and_the_other_goes_on(world: World) -> None:
    feed(world, 5)
    with world.worker() as worker, world.another("rebuild-points") as rebuild:
        turn_until(worker, caught_up(world, 5))
        rebuild.take_over(0)
        feed(world, 5, start=6)
        turn_until(worker, caught_up(world, 10, [1]))
        assert world.cursor(0).seen["events.log"] == 5
        rebuild.give_back([0])
        turn_until(worker, caught_up(world, 10))
    assert_exact(world, 10)


def test_what_somebody_else_has_taken_since_is_not_given_back(world: World) -> None:
    feed(world, 5)
    with world.another("rebuild-points") as rebuild, world.worker() as worker:
        for partition in BOTH:
            rebuild.take_over(partition)
        turn_until(worker, caught_up(world, 5))
        rebuild.give_back(BOTH)
        feed(world, 5, start=6)
        turn_until(worker, caught_up(world, 10))
        assert {world.cursor(partition).epoch for partition in BOTH} == {2}
    assert_exact(world, 10)


@pytest.mark.parametrize(
    ("holder", "patience_seconds"),
    [("other", FENCED_SECONDS_MAX), ("rebuild-points", LENT_SECONDS_MAX)],
)
def test_a_partition_that_is_not_given_back_ends_the_worker(
    world: World, holder: str, patience_seconds: float
) -> None:
    feed(world, 5)
    with world.worker() as worker, world.another(holder) as other:
        turn_until(worker, caught_up(world, 5))
        for partition in BOTH:
            other.take_over(partition)
        feed(world, 1, start=6)
        turn_until(worker, lambda: fenced(worker))
        worker.turn()
        pretend_fenced_for(worker, patience_seconds - 5)
        worker.turn()
        pretend_fenced_for(worker, patience_seconds + 1)
        with pytest.raises(Unavailable, match=f"worker '{holder}' holds its epoch"):
            worker.turn()
