"""The outbox: decisions of a partition that are not known to be announced, read from storage."""

from collections.abc import Iterator

from pymongo.collection import Collection

from shared.contracts.decisions import number
from shared.runtime.mongo import store_errors
from shared.runtime.ports import Cursor, Document

RESEND_CHUNK = 1_000
"""Decisions read at a time: normally one batch is all there is."""


def unannounced(decisions: Collection[Document], cursor: Cursor) -> Iterator[Document]:
    """Decisions behind the acknowledged mark, in their order, up to the cursor's last."""
    # The mark is 0 before anything was announced, and 0 lies below every later partition.
    announced = max(cursor.announced, number(cursor.partition, 0))
    while announced < cursor.last:
        with store_errors():
            behind = {"_id": {"$gt": announced, "$lte": cursor.last}}
            found = list(decisions.find(behind).sort("_id", 1).limit(RESEND_CHUNK))
        if not found:
            return
        yield from found
        announced = found[-1]["_id"]
