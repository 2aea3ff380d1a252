"""A worker: one projector with all that it needs, opened in order and closed in reverse."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

import structlog
from pymongo import MongoClient

from shared.runtime import health, logs, metrics
from shared.runtime.announcing import Announcer
from shared.runtime.archive import Archive
from shared.runtime.faults import Reached, nothing
from shared.runtime.kafka import open_consumer, open_producer
from shared.runtime.mongo import MongoStore, open_client
from shared.runtime.ports import Document, Handler, Input, Stopped
from shared.runtime.projector import Projection, Projector
from shared.runtime.settings import Settings

ALIVE_SECONDS_MAX = 120.0
"""A loop that has not turned for so long hangs; longer than a take-over waits for the database."""
TURNED_SECONDS_MAX = 20.0
"""A loop that has not turned for so long does not serve."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What a service tells about its projector. `build` makes the handler once the database is open
    (and its indexes); `database` is the service's own, by its short name."""

    service: str
    database: str
    inputs: tuple[Input, ...]
    build: Callable[[Settings, MongoClient[Document]], Handler]


@contextmanager
def opened(
    worker: Worker,
    settings: Settings,
    log: structlog.stdlib.BoundLogger,
    reached: Reached = nothing,
) -> Iterator[Projector]:
    """Store, then producer, then consumer; closed in reverse, whatever happened."""
    with ExitStack() as stack:
        client = stack.enter_context(open_client(settings))
        handler = worker.build(settings, client)
        topics = [item.topic for item in worker.inputs]
        store = MongoStore(client, settings, worker.database, topics)
        stack.callback(store.close)
        producer = open_producer(settings, worker.service)
        stack.callback(producer.close)
        consumer = open_consumer(settings, worker.service)
        stack.callback(consumer.close)
        archive = Archive(client, settings)
        projection = Projection(worker.service, worker.inputs, settings.topic, archive)
        announcer = Announcer(worker.service, producer, settings.topic)
        yield Projector(projection, handler, store, consumer, announcer, log, reached)


def run(worker: Worker, settings: Settings, reached: Reached = nothing) -> int:
    """Runs until SIGTERM or SIGINT; the exit status: 0, or 1 for what a restart may mend."""
    log = logs.configure(settings, worker.service)
    try:
        with opened(worker, settings, log, reached) as projector, ExitStack() as stack:
            _stop_on_signals(projector)
            alive, ready = _alive(projector), _ready(projector)
            metrics.begin(
                worker.service, [item.topic for item in worker.inputs], settings.partitions
            )
            metrics.READY.labels(worker.service).set_function(lambda: float(not ready()))
            if settings.health_port:
                probes = health.serving(settings.host, settings.health_port, alive, ready)
                stack.enter_context(probes)
            log.info("started", namespace=settings.namespace, partitions=settings.partitions)
            projector.run()
    except Exception as error:
        trace = None if isinstance(error, Stopped) else error
        log.critical("stopped", reason=str(error), kind=type(error).__name__, exc_info=trace)
        return 1
    log.info("ended")
    return 0


def _stop_on_signals(projector: Projector) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        projector.stop()

    with suppress(ValueError):  # not in the main thread: a test stops it by hand
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)


def _alive(projector: Projector) -> health.Check:
    def check() -> str:
        silent = time.monotonic() - projector.turned_at
        return f"the loop has not turned for {silent:.0f} s" if silent > ALIVE_SECONDS_MAX else ""

    return check


def _ready(projector: Projector) -> health.Check:
    def check() -> str:
        silent = time.monotonic() - projector.turned_at
        if silent > TURNED_SECONDS_MAX:
            return f"the loop has not turned for {silent:.0f} s"
        return projector.unready()

    return check
