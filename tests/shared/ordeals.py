"""What the projector's tests do to a worker, and how they tell that nothing came of it."""

from collections.abc import Callable, Collection
from typing import Any

from shared.contracts.decisions import number
from shared.runtime.faults import Step
from shared.runtime.ports import Cursor, Place, Store, Transaction
from tests.shared.worlds import FACTS, World


class Killed(BaseException):
    """Stands for a SIGKILL: nothing of ours catches it."""


def kill_at(step: Step, time: int = 1) -> Callable[[Step], None]:
    """Ends the worker when it comes by `step` for the `time`-th time."""
    passed = 0

    def reached(now: Step) -> None:
        nonlocal passed
        passed += now == step
        if passed == time and now == step:
            raise Killed

    return reached


def totals(world: World) -> dict[str, int]:
    return {document["_id"]: document["points"] for document in world.documents("states")}


def assert_exact(world: World, count: int, partitions: Collection[int] = (0, 1)) -> None:
    """`count` messages of one point in each partition had their effect once, and were announced."""
    decisions = world.documents("decisions")
    assert len(decisions) == count * len(partitions)
    assert sum(totals(world).values()) == count * len(partitions)
    for partition in partitions:
        chain = [number(partition, seq) for seq in range(1, count + 1)]
        assert new_of(world, partition) == chain, "an announcement is missing or out of order"


def new_of(world: World, partition: int) -> list[int]:
    """What a reader of the facts takes: nothing twice, nothing after a gap."""
    taken: list[int] = []
    for headers, _ in world.read(FACTS):
        decision, previous = int(headers["decision"]), int(headers["previous"])
        if decision >> 53 != partition or decision <= (taken[-1] if taken else 0):
            continue
        assert previous == (taken[-1] if taken else 0), "a hole in the topic"
        taken.append(decision)
    return taken


class Meddled:
    """The real store, with something happening around one transaction."""

    def __init__(self, store: Store, around: Callable[[Callable[[], None]], None]) -> None:
        self._store = store
        self._around = around

    def take_over(self, partition: int) -> Cursor:
        return self._store.take_over(partition)

    def places(self, partitions: Collection[int]) -> dict[int, Place]:
        return self._store.places(partitions)

    def holders(self, partitions: Collection[int]) -> dict[int, str]:
        return self._store.holders(partitions)

    def transact(self, body: Callable[[Transaction], None]) -> None:
        self._around(lambda: self._store.transact(body))


def first_time(meddle: Callable[[Callable[[], None]], None]) -> Any:
    """A wrapper of the store in which only the first transaction is meddled with."""
    times = iter([meddle])

    def around(transact: Callable[[], None]) -> None:
        next(times, lambda run: run())(transact)

    return lambda store: Meddled(store, around)


def raising(error: Exception, *, before: bool) -> Callable[[Callable[[], None]], None]:
    def meddle(transact: Callable[[], None]) -> None:
        if not before:
            transact()
        raise error

    return meddle
