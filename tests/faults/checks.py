"""What must hold after any fault: the databases against the model, every topic without a hole."""

from dataclasses import dataclass, field

from pymongo import MongoClient

from shared.runtime.mongo import open_client
from shared.runtime.ports import Document
from shared.runtime.settings import Settings
from tests.faults.model import Model, messages

OWNERS = {"customers": ("opt_in",), "points": ("checkout", "point_add", "point_spend")}
TOPICS = {"events.log": "journal", "customers.facts": "customers", "points.facts": "points"}
"""By topic: whose cursors say what its last number is."""


def differences(settings: Settings, model: Model) -> list[str]:
    """Every way in which the stack differs from the model; empty: exact."""
    with open_client(settings) as client:
        found = _balances(client, settings, model) + _cards(client, settings, model)
        found += _decisions(client, settings, model)
        lasts = {topic: _lasts(client, settings, owner) for topic, owner in TOPICS.items()}
    return found + [
        difference for topic, last in lasts.items() for difference in gaps(settings, topic, last)
    ]


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


def _cards(client: MongoClient[Document], settings: Settings, model: Model) -> list[str]:
    found = {card["id"]: card for card in client[settings.database("query")].cards.find({})}
    wrong = [f"{customer}: a card of nobody" for customer in found.keys() - model.score.keys()]
    for customer, score in model.score.items():
        spent = model.spent[customer]
        card = found.get(customer, {})
        told = tuple(card.get(name) for name in ("status", "score", "spent", "spendable"))
        if told != ("active", score, spent, score - spent):
            wrong.append(f"{customer}: the card says {told}, not {score, spent, score - spent}")
    return wrong


def _decisions(client: MongoClient[Document], settings: Settings, model: Model) -> list[str]:
    wrong = []
    outcomes: dict[str, str] = {}
    for service, actions in OWNERS.items():
        decided = client[settings.database(service)].decisions.find(
            {"action": {"$in": actions}}, {"event": 1, "outcome": 1}
        )
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


def _lasts(client: MongoClient[Document], settings: Settings, owner: str) -> dict[int, int]:
    cursors = client[settings.database(owner)].cursors.find({})
    return {cursor["_id"]: cursor.get("last", 0) for cursor in cursors}


@dataclass
class _Chain:
    """What a reader has seen of one partition: the last number, and what each one said."""

    last: int = 0
    said: dict[int, int] = field(default_factory=dict)


def gaps(settings: Settings, topic: str, lasts: dict[int, int]) -> list[str]:
    """Where a reader of the topic would stop (a number whose predecessor it has not seen), what was
    never announced, and what says something else when it is sent again."""
    chains: dict[int, _Chain] = {partition: _Chain() for partition in lasts}
    found = []
    for partition, headers, value in messages(settings, topic):
        chain = chains.setdefault(partition, _Chain())
        number, previous = _link(topic, headers)
        said = hash((value, tuple(sorted(headers.items()))))
        if number <= chain.last:
            if chain.said.get(number) != said:
                found.append(f"{topic} {partition}: {number} says something else the second time")
            continue
        if previous != chain.last:
            found.append(f"{topic} {partition}: {number} follows {previous}, not {chain.last}")
        chain.last = number
        chain.said[number] = said
    return found + [
        f"{topic} {partition}: ends at {chains[partition].last}, not {last}"
        for partition, last in lasts.items()
        if chains[partition].last != last
    ]


def _link(topic: str, headers: dict[str, str]) -> tuple[int, int]:
    """A message's number and its predecessor's."""
    if topic == "events.log":
        return int(headers["seq"]), int(headers["seq"]) - 1
    return int(headers["decision"]), int(headers["previous"])
