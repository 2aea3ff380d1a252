"""What must hold after any crash: the database against the model, every topic without a hole."""

from collections import Counter

from pymongo import MongoClient

from shared.runtime.mongo import open_client
from shared.runtime.ports import Document
from shared.runtime.settings import Settings
from tests.faults.model import Model, messages

OWNERS = {"customers": ("opt_in",), "points": ("checkout", "point_add", "point_spend")}


def differences(settings: Settings, model: Model) -> list[str]:
    """Every way in which the stack differs from the model; empty: exact."""
    with open_client(settings) as client:
        found = _balances(client, settings, model) + _decisions(client, settings, model)
    return found + [hole for topic in TOPICS for hole in holes(settings, topic)]


def _balances(client: MongoClient[Document], settings: Settings, model: Model) -> list[str]:
    states = client[settings.database("points")].states.find({})
    found = {state["customer"]: state["accounts"].get("main", {}) for state in states}
    wrong = []
    for customer, score in model.score.items():
        account = found.get(customer, {})
        told = (account.get("score", 0), account.get("spent", 0))
        if told != (score, model.spent[customer]):
            wrong.append(f"{customer}: score and spent {told}, not {score, model.spent[customer]}")
    return wrong


def _decisions(client: MongoClient[Document], settings: Settings, model: Model) -> list[str]:
    wrong = []
    outcomes: dict[str, str] = {}
    for service, actions in OWNERS.items():
        decided = client[settings.database(service)].decisions.find({"action": {"$in": actions}})
        for decision in decided:
            if decision["outcome"] == "followed":
                continue
            if decision["event"] in outcomes:
                wrong.append(f"{decision['event']} was decided twice")
            outcomes[decision["event"]] = decision["outcome"]
    return wrong + [
        f"{event}: {outcomes.get(event)}, not {model.outcomes.get(event)}"
        for event in sorted(model.outcomes.keys() | outcomes.keys())
        if outcomes.get(event) != model.outcomes.get(event)
    ]


TOPICS = ("events.log", "customers.facts", "points.facts")


def holes(settings: Settings, topic: str) -> list[str]:
    """Where a reader of the topic would stop: a number whose predecessor it has not seen."""
    seen: Counter[int] = Counter()
    found = []
    for partition, headers, _ in messages(settings, topic):
        if topic == "events.log":
            number = int(headers["seq"])
            previous = number - 1
        else:
            number, previous = int(headers["decision"]), int(headers["previous"])
        if number <= seen[partition]:
            continue
        if previous != seen[partition]:
            found.append(f"{topic} {partition}: {number} follows {previous}, not {seen[partition]}")
        seen[partition] = number
    return found
