"""The hand-written loops as processes of their own, on the log that the journal has made."""

from bench import children, loops
from bench.draining import Prepared
from bench.events import TENANT, customer_names
from bench.options import Options
from bench.problems import BenchError
from bench.usage import Measured
from shared.contracts.topics import LOG
from shared.runtime.ports import Document

NAMES = {"raw_insert_many": "raw", "loop_bulk": "bulk", "loop_per_event": "per-event"}
SECONDS_MAX = 60.0


def measure(ready: Prepared, key: str, options: Options) -> Measured:
    """One loop, by the key of its figure, over as many events as there are (or fewer, where it is
    slow), in a database of its own. Raises `BenchError` where it does other work than points."""
    loop, settings = NAMES[key], ready.stage.settings
    events = options.per_event_events if loop == "per-event" else options.events
    database = ready.stage.mongo[settings.database(loop)]
    if loop != "raw":
        loops.prepare(database, customer_names(options.customers), TENANT)
    ready.stage.settle()
    arguments = ["--mongo", settings.mongo_url, "--database", database.name]
    arguments += ["--kafka", settings.kafka_servers, "--topic", settings.topic(LOG.name)]
    arguments += ["--events", str(events), "--seconds", str(SECONDS_MAX)]
    with children.running("bench.loops", loop, *arguments) as process:
        said = children.words(process)
        next(said)
        watch = ready.stage.watch(loop=process.pid)
        watch.begin()
        done = next(said)
        measured = watch.end(done["events"], done["seconds"])
    if loop == "bulk":
        _compare(ready, done["events"])
    return measured


def _compare(ready: Prepared, events: int) -> None:
    """The same documents, and the same points: else the ratio would say nothing."""
    mongo, settings = ready.stage.mongo, ready.stage.settings
    points, bulk = (mongo[settings.database(name)] for name in ("points", "bulk"))
    customer = f"{TENANT}/{customer_names(1)[0]}"
    for collection, query in (
        ("decisions", {"action": "checkout"}),
        ("states", {"_id": customer}),
        ("lots", {"customer": customer}),
    ):
        theirs, ours = (database[collection].find_one(query) for database in (points, bulk))
        if theirs and ours and _shape(theirs) != _shape(ours):
            raise BenchError(
                f"the bulk loop writes other {collection} than points: bench/loops.py must follow\n"
                f"{sorted(_shape(theirs) ^ _shape(ours))}"
            )
    if (found := bulk["decisions"].count_documents({})) != events:
        raise BenchError(f"the bulk loop decided {found:,} of {events:,} events")


def _shape(value: Document, at: str = "") -> set[str]:
    """The paths and types of a document."""
    found = set()
    for name, member in value.items():
        inner = member[0] if isinstance(member, list) and member else member
        kind = "int" if isinstance(inner, int) else type(inner).__name__  # 64 bits are a class
        found.add(f"{at}{name}: {kind}")
        if isinstance(inner, dict):
            found |= _shape(inner, f"{at}{name}.")
    return found
