"""Wiring of query: the reading API on the services' databases, and the worker that keeps cards."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import ConnectionFailure, ExecutionTimeout

from services.query.api import Service, query_routes
from services.query.handler import Cards
from services.query.reading import Now, Reading
from services.query.repository import Repository, create_card_indexes
from services.query.settled import settled
from services.query.totals import Totals
from services.query.transactions import Transactions
from shared.runtime import logs, worker
from shared.runtime.faults import Reached, nothing
from shared.runtime.http import Credentials, install, serve
from shared.runtime.http.description import READ, finished
from shared.runtime.messages import facts_input
from shared.runtime.ports import Document
from shared.runtime.settings import Settings

TITLE = "Laurel: query"
REQUEST_MS = 10_000
"""What the database may take for one answer; a read that takes longer is refused as 503."""
AWAY = (ConnectionFailure, ExecutionTimeout)


def machine_clock() -> datetime:
    """The time by which lots are due."""
    return datetime.now(UTC)


def create_app(settings: Settings, now: Now = machine_clock) -> FastAPI:
    """The API on its databases; nothing is opened before the app starts."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        settings.mongo_url,
        appname="laurel-query",
        timeoutMS=REQUEST_MS,
        readConcernLevel="majority",
        connect=False,
    )
    repository = Repository(client, settings)
    service = Service(
        credentials=Credentials.parse(settings.keys.get_secret_value()),
        reading=Reading(repository, now),
        transactions=Transactions(repository, settings.partitions),
        totals=Totals(repository, now, lambda: settled(settings, repository.databases)),
        partitions=settings.partitions,
        databases=repository.databases,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    async def ready() -> list[str]:
        await repository.ping()
        return []

    app = FastAPI(title=TITLE, version="1", openapi_url=None, lifespan=lifespan)
    app.include_router(query_routes(service))
    install(app, title=TITLE, ready=ready, openapi=lambda: described(app), unavailable=AWAY)
    return app


def run_api(settings: Settings) -> int:
    """Serves until SIGTERM."""
    app = create_app(settings)
    log = logs.configure(settings, "query")
    log.info("serving", host=settings.host, port=settings.query_port)
    serve(app, settings.host, settings.query_port)
    return 0


def described(app: FastAPI) -> Mapping[str, object]:
    """FastAPI's description; every path reads."""
    return finished(app.openapi(), READ, READ)


def build_cards(settings: Settings, client: MongoClient[Document]) -> Cards:
    """The cards' handler, once the indexes of the customer list are there."""
    create_card_indexes(client, settings)
    return Cards()


CARDS = worker.Worker(
    "query", "query", (facts_input("points"), facts_input("customers")), build_cards
)


def run_cards(settings: Settings, reached: Reached = nothing) -> int:
    """Keeps the cards; returns the exit status."""
    return worker.run(CARDS, settings, reached)
