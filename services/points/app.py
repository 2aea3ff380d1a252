"""Wiring of points: the worker that decides what happens to balances."""

from pymongo import MongoClient

from services.points.domain.customers import CustomerPoints
from services.points.handler import SERVICE, STATES_KEPT_MAX, Points
from services.points.repository import PointsRepository
from shared.runtime import worker
from shared.runtime.faults import Reached, nothing
from shared.runtime.messages import LOG_INPUT
from shared.runtime.mongo import CODEC, MAJORITY
from shared.runtime.owner import Owner
from shared.runtime.parking import Parking
from shared.runtime.ports import Document
from shared.runtime.programs import Programs
from shared.runtime.settings import Settings


def build(settings: Settings, client: MongoClient[Document]) -> Owner[CustomerPoints]:
    """The handler on its database, once the indexes are there."""
    database = client.get_database(
        settings.database(SERVICE), codec_options=CODEC, write_concern=MAJORITY
    )
    programs = Programs(client.get_database(settings.database("program")))
    return build_on(PointsRepository(database), Parking(SERVICE, database), programs)


def build_on(
    repository: PointsRepository, parking: Parking, programs: Programs
) -> Owner[CustomerPoints]:
    """The same on the collections of this repository and this parking."""
    repository.create_indexes()
    parking.create_indexes()
    rules = Points(repository, programs)
    return Owner(SERVICE, rules, parking, repository.unannounced, STATES_KEPT_MAX)


POINTS = worker.Worker(SERVICE, SERVICE, (LOG_INPUT,), build)


def run(settings: Settings, reached: Reached = nothing) -> int:
    """Runs the worker; returns the exit status."""
    return worker.run(POINTS, settings, reached)
