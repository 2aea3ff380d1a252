"""The whole stack under a light load: from an event to the balance that a reader sees."""

import math
from itertools import chain

from bench import children
from bench.draining import wait_for
from bench.events import customer_names, fill, opt_ins
from bench.ground import KEY, Ground, Stage, set_up_program
from bench.profiling import Profiler
from bench.progress import Progress
from bench.usage import Measured

SERVICES = ("program", "journal", "customers", "points", "cards", "query", "gateway")
WORKERS = ("journal", "customers", "points", "cards")


def whole_stack(stage: Stage, watched: int, customers: int) -> int:
    """Starts every service, enrols `c-…` and `w-…`; how many events that were."""
    stage.start(*SERVICES)
    set_up_program(stage)
    names = chain(customer_names(customers), customer_names(watched, "w"))
    enrolled = fill(stage.settings, opt_ins(names))
    wait_for(stage, Progress(stage), WORKERS, enrolled.events)
    return enrolled.events


def measure(ground: Ground, profiler: Profiler) -> Measured:
    """See `probing` for what is timed."""
    options = ground.options
    watched = math.ceil(options.latency_seconds * options.latency_rate / options.probe_every)
    with ground.stage("latency") as stage:
        whole_stack(stage, watched, options.customers)
        stage.settle()
        arguments = ["--gateway", str(stage.settings.gateway_port), "--key", KEY]
        arguments += ["--query", str(stage.settings.query_port)]
        arguments += ["--rate", str(options.latency_rate), "--every", str(options.probe_every)]
        arguments += ["--seconds", str(options.latency_seconds)]
        arguments += ["--warm-up", str(options.warm_up_seconds)]
        arguments += ["--customers", str(options.customers), "--watched", str(watched)]
        with children.running("bench.probing", *arguments) as process:
            said = children.words(process)
            next(said)
            watch = stage.watch(*SERVICES, generator=process.pid)
            watch.begin()
            with profiler.of(stage.pids(*SERVICES)):
                done = dict(next(said))
            measured = watch.end(int(done.pop("events")), **done)
    return measured
