"""The gateway by itself: one process, credentials, validation, the broker's acknowledgement."""

from collections.abc import Mapping
from dataclasses import replace

from bench import children, wrk
from bench.ground import KEY, Ground, Stage
from bench.problems import BenchError
from bench.profiling import Profiler
from bench.usage import Measured
from shared.contracts.topics import INBOX
from shared.runtime.kafka import ends, open_reader

BATCHES = {"gateway_single": 1, "gateway_batch": 100}
"""Events in a request, by the key of the figure."""
KAFKA_SECONDS = 30.0


def measure(ground: Ground, key: str, profiler: Profiler) -> Measured:
    """Requests as fast as they are answered, then a look at the inbox: what was taken is there.

    Raises `BenchError` where it is not, or where a request was refused.
    """
    options, batch = ground.options, BATCHES[key]
    connections = options.connections if batch == 1 else options.batch_connections
    with ground.stage("door") as stage:
        stage.start("gateway")
        stage.settle()
        arguments = ["--port", str(stage.settings.gateway_port), "--key", KEY]
        arguments += ["--connections", str(connections), "--batch", str(batch)]
        arguments += ["--seconds", str(options.gateway_seconds)]
        arguments += ["--warm-up", str(options.warm_up_seconds), "--wrk", wrk.found()]
        with children.running("bench.generator", *arguments) as process:
            said = children.words(process)
            next(said)
            watch = stage.watch("gateway", generator=process.pid)
            watch.begin()
            with profiler.of(stage.pids("gateway")):
                done = next(said)
            more = {"answer_p50_ms": done["p50_ms"], "answer_p99_ms": done["p99_ms"]}
            more |= {"connections": connections, "events_in_a_request": batch}
            measured = watch.end(done["events"], done["seconds"], **more)
            cores = measured.cores("generator")
        in_flight = 2 * connections * batch if wrk.found() else 0
        _check(stage, done["taken_in_all"], done["refused"], in_flight)
    return replace(measured, more={**more, "generator_cores": cores})


def _check(stage: Stage, taken: int, refused: Mapping[str, int], in_flight: int) -> None:
    """`in_flight`: so many events more may be there, whose answers wrk did not wait for."""
    if refused:
        raise BenchError(f"the gateway refused requests: {refused}")
    reader, settings = open_reader(stage.settings), stage.settings
    try:
        found = ends(reader, settings.topic(INBOX.name), settings.partitions, KAFKA_SECONDS)
    finally:
        reader.close()
    there = sum(end for _, end in found.values())
    if not taken <= there <= taken + in_flight:
        raise BenchError(f"the gateway took {taken:,} events, and the inbox has {there:,}")
