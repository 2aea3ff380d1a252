"""Cards: one row of the customer list, folded from what points and customers announce."""

from collections.abc import Mapping

import msgspec

from shared.runtime.ports import Document, Message

STATUS_AT_FIRST = "inactive"
"""Shown until customers has said more: whoever points hears of first is a guest or migrated."""
TOTALS = ("score", "spent", "pending", "reserved", "expired", "spendable")


class Fact(msgspec.Struct, gc=False):
    """Of a fact only what a card cares for: whether it ends the customer's generation."""

    type: str
    forgotten: bool = False


class Balance(msgspec.Struct, gc=False):
    """An account after a decision, as points announces it."""

    score: int = 0
    spent: int = 0
    pending: int = 0
    reserved: int = 0
    expired: int = 0
    spendable: int = 0


class Announced(msgspec.Struct, gc=False):
    """The value of a message of `points.facts` (balances) or `customers.facts` (status)."""

    facts: list[Fact] = []
    balances: dict[str, Balance] = {}
    status: str = ""


_decoder = msgspec.json.Decoder(Announced)


def read(message: Message) -> tuple[str, Document, Announced]:
    """A message of facts → the card's id, the card as it is before anything is known, the news.

    Raises `KeyError` or `ValueError` for one that is unreadable.
    """
    tenant, customer = message.headers["tenant"], message.headers["customer"]
    key = f"{tenant}/{customer}"
    return key, empty(key, tenant, customer), _decoder.decode(message.value)


def empty(key: str, tenant: str, customer: str) -> Document:
    """A card that nobody has said anything about."""
    card = {"_id": key, "tenant": tenant, "id": customer, "status": STATUS_AT_FIRST}
    return {**card, **dict.fromkeys(TOTALS, 0), "accounts": {}}


def evolve(card: Mapping[str, object], news: Announced) -> Document:
    """The card after the news. Balances and status are absolute: the same news twice is one."""
    known = {} if any(fact.forgotten for fact in news.facts) else card["accounts"]
    accounts: dict[str, dict[str, int]] = {
        **known,  # type: ignore[dict-item]  # a card's accounts are what this function makes
        **{account: msgspec.structs.asdict(balance) for account, balance in news.balances.items()},
    }
    totals = {name: sum(account[name] for account in accounts.values()) for name in TOTALS}
    return {**card, "status": news.status or card["status"], **totals, "accounts": accounts}
