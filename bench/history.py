"""Whether an event costs more when its customer has a long history: CPU of points, both ways."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice

from bench.draining import Prepared, points, wait_for
from bench.events import Filled, Made, checkouts, customer_names, fill, opt_ins
from bench.ground import Ground, set_up_program
from bench.profiling import Profiler
from bench.progress import Progress
from bench.usage import Measured
from shared.contracts.partitions import partition_of

FRESH = 20
"""Fresh customers, one after the other: none gets old, and batches hold as few customers as those
of the old one. All live in one partition, so that only the history differs."""


def measure(ground: Ground, profiler: Profiler) -> dict[str, Measured]:
    """`history_long`: checkouts of a customer with many earlier ones; `history_fresh`: as many of
    customers who begin."""
    options = ground.options
    old, *fresh = islice(_neighbours(options.partitions), FRESH + 1)
    with ground.stage("history") as stage:
        progress = Progress(stage)
        stage.start("program", "journal", "points")
        set_up_program(stage)
        earlier = checkouts(options.history_earlier, [old], 2, "earlier")
        before = fill(stage.settings, chain(opt_ins([old, *fresh]), earlier))
        wait_for(stage, progress, ("journal", "points"), before.events)
        stage.stop("points", "program")
        found, messages = {}, before.events
        for key, events in (
            ("history_long", checkouts(options.history_events, [old], 2, "late")),
            ("history_fresh", _of_each(fresh, options.history_events)),
        ):
            filled = fill(stage.settings, events)
            messages += filled.events
            wait_for(stage, progress, ("journal",), messages)
            before = Filled(filled.events, before.points + filled.points)
            found[key] = points(Prepared(stage, progress, before, messages), profiler)
    return found


def _neighbours(partitions: int) -> Iterator[str]:
    """Customers of one partition."""
    wanted = None
    for name in customer_names(100_000, "h"):
        partition = partition_of(f"demo/{name}".encode(), partitions)
        wanted = partition if wanted is None else wanted
        if partition == wanted:
            yield name


def _of_each(customers: Sequence[str], count: int) -> Iterator[Made]:
    each = count // len(customers)
    runs = (checkouts(each, [customer], 2, f"new-{customer}") for customer in customers)
    return chain.from_iterable(runs)
