"""Wiring of the program: the database, the HTTP app, its description."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure, ExecutionTimeout, WTimeoutError

from services.program.api import program_routes
from services.program.description import described
from services.program.repository import Contended, ProgramRepository, Stored
from services.program.totals import Totals
from shared.runtime import logs
from shared.runtime.http import Credentials, install, serve
from shared.runtime.settings import Settings

TITLE = "Laurel: program"
START_SECONDS = 30
"""How long a start waits for the database; then it fails, and whoever supervises tries again."""
AWAY = (ConnectionFailure, ExecutionTimeout, WTimeoutError, Contended)


def create_app(settings: Settings) -> FastAPI:
    """The service on its database; nothing is opened before the app starts."""
    credentials = Credentials.parse(settings.keys.get_secret_value())
    client: AsyncMongoClient[Stored] = AsyncMongoClient(
        settings.mongo_url,
        appname="laurel-program",
        serverSelectionTimeoutMS=START_SECONDS * 1000,
        connect=False,
    )
    repository = ProgramRepository(client, settings.database("program"))
    totals = Totals(settings.query_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client, totals:
            await repository.prepare()
            yield

    async def ready() -> list[str]:
        return [] if await repository.answers() else ["mongod"]

    app = FastAPI(title=TITLE, version="1", openapi_url=None, lifespan=lifespan)
    app.include_router(program_routes(repository, credentials, totals))
    install(app, title=TITLE, ready=ready, openapi=lambda: described(app), unavailable=AWAY)
    return app


def run(settings: Settings) -> None:
    """Serves until SIGTERM."""
    app = create_app(settings)
    log = logs.configure(settings, "program")
    log.info("serving", host=settings.host, port=settings.program_port)
    serve(app, settings.host, settings.program_port)
