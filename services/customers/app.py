"""Wiring of customers: the worker that decides who is a member."""

from pymongo import MongoClient

from services.customers.domain.profiles import Profile
from services.customers.handler import PROFILES_KEPT_MAX, SERVICE, Customers
from services.customers.repository import CustomersRepository
from shared.runtime import worker
from shared.runtime.faults import Reached, nothing
from shared.runtime.messages import LOG_INPUT
from shared.runtime.mongo import CODEC, MAJORITY
from shared.runtime.owner import Owner
from shared.runtime.parking import Parking
from shared.runtime.ports import Document
from shared.runtime.programs import Programs
from shared.runtime.settings import Settings


def build(settings: Settings, client: MongoClient[Document]) -> Owner[Profile]:
    """The handler on its database, once the indexes are there."""
    database = client.get_database(
        settings.database(SERVICE), codec_options=CODEC, write_concern=MAJORITY
    )
    repository = CustomersRepository(database)
    repository.create_indexes()
    parking = Parking(SERVICE, database)
    parking.create_indexes()
    rules = Customers(repository, Programs(client.get_database(settings.database("program"))))
    return Owner(SERVICE, rules, parking, repository.unannounced, PROFILES_KEPT_MAX)


CUSTOMERS = worker.Worker(SERVICE, SERVICE, (LOG_INPUT,), build)


def run(settings: Settings, reached: Reached = nothing) -> int:
    """Runs the worker; returns the exit status."""
    return worker.run(CUSTOMERS, settings, reached)
