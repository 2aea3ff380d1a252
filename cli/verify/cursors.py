"""Cursors beside each other: nobody has seen what is not there, or decided what was not seen."""

from collections.abc import Iterator

from cli.verify.findings import Findings
from cli.verify.snapshot import Part
from shared.contracts.decisions import place
from shared.runtime.ports import Document

OWNERS = ("customers", "points")


def check_cursors(part: Part, found: Findings) -> None:
    """What one moment's positions of all services say of each other."""
    for service, cursor in part.cursors.items():
        found.checked[f"{service}.cursors"] += 1
        for sentence in _wrong(part, service, part.cursor(service)):
            found.differ(f"{service}.cursors", "", cursor["_id"], sentence)
    for collection, document in part.beyond.items():
        of = f"{document['tenant']}/{document['customer']}" if "customer" in document else ""
        sentence = "lies behind its service's cursor, so nothing counts it"
        found.differ(collection, of, document["_id"], sentence)


def _wrong(part: Part, service: str, cursor: Document) -> Iterator[str]:
    seen: dict[str, int] = cursor["seen"]
    if cursor["announced"] > cursor["last"]:
        yield f"announced is {cursor['announced']}, but last is {cursor['last']}"
    if cursor["lineage"] not in ("", part.lineage):
        yield f"belongs to the log {cursor['lineage']}, but this one is {part.lineage}"
    if service in OWNERS:
        log, last = part.cursor("journal")["last"], seen.get("events_log", 0)
        if last > log:
            yield f"has seen number {last} of the log, which ends at {log}"
        if cursor["last"] and place(cursor["last"]) > (part.partition, last):
            yield f"has seen number {last} of the log, but decided {cursor['last']} behind it"
    if service == "query":
        for owner in OWNERS:
            last, there = seen.get(f"{owner}_facts", 0), part.cursor(owner)["last"]
            if last > there:
                yield f"has seen {last} of {owner}.facts, which ends at {there}"
