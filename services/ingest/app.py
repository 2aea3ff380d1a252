"""Wiring of ingest: the journal's worker, the gateway's server."""

from datetime import UTC, datetime

from pymongo import MongoClient

from services.ingest.journal import Journal
from services.ingest.repository import JournalRepository
from services.ingest.tail import refuse_if_behind
from shared.runtime.faults import Reached, nothing
from shared.runtime.messages import INBOX_INPUT
from shared.runtime.mongo import CODEC, MAJORITY
from shared.runtime.ports import Document
from shared.runtime.settings import Settings
from shared.runtime.worker import Worker, run


def build_journal(settings: Settings, client: MongoClient[Document]) -> Journal:
    """The journal's handler on its database, with the machine's clock. Raises `LogAhead` where the
    database is older than the log."""
    refuse_if_behind(settings, client)
    database = client.get_database(
        settings.database("journal"), codec_options=CODEC, write_concern=MAJORITY
    )
    return Journal(JournalRepository(database), settings.partitions, lambda: datetime.now(UTC))


JOURNAL = Worker("journal", "journal", (INBOX_INPUT,), build_journal)


def run_journal(settings: Settings, reached: Reached = nothing) -> int:
    """Runs the journal; returns the exit status."""
    return run(JOURNAL, settings, reached)


def run_gateway(settings: Settings) -> int:
    """Serves the gateway until it is told to stop; returns the exit status."""
    from services.ingest.gateway import serve  # the journal needs no web server

    return serve(settings)
