"""Cards of query beside what points and customers announced up to where the cards have read."""

from dataclasses import dataclass, field

from cli.verify.documents import UNREADABLE, customer_of, unlike
from cli.verify.findings import Findings
from cli.verify.snapshot import Part
from shared.runtime.ports import Document

CARDS = "query.cards"
TOTALS = ("score", "spent", "pending", "reserved", "expired", "spendable")
STATUS_AT_FIRST = "inactive"


@dataclass(slots=True)
class Card:
    """Balances by account, and the status, as last announced."""

    tenant: str
    id: str
    status: str = STATUS_AT_FIRST
    accounts: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Cards:
    """What the cards of one partition must say; `seen`: number of the last decision read, by
    service."""

    seen: dict[str, int]
    cards: dict[str, Card] = field(default_factory=dict)

    def of_points(self, decision: Document) -> None:
        """Balances are absolute; a customer who is forgotten has none."""
        if (card := self._card(decision, "points")) is not None:
            if any(fact.get("forgotten") for fact in decision["facts"]):
                card.accounts = {}
            card.accounts |= decision["result"]["balances"]

    def of_customers(self, decision: Document) -> None:
        """The status is absolute too."""
        if (card := self._card(decision, "customers")) is not None:
            card.status = decision["result"].get("status", card.status)

    def _card(self, decision: Document, service: str) -> Card | None:
        if decision["_id"] > self.seen[service] or decision["outcome"] == "refused":
            return None
        key = customer_of(decision)
        card = self.cards.get(key)
        if card is None:
            card = self.cards[key] = Card(decision["tenant"], decision["customer"])
        return card


def cards_of(part: Part) -> Cards:
    """None yet; up to the cards' cursor."""
    seen = part.cursor("query")["seen"]
    return Cards({service: seen.get(f"{service}_facts", 0) for service in ("points", "customers")})


def check_cards(cards: Cards, part: Part, found: Findings) -> None:
    """Every stored card, and every one that should be."""
    stored = {card["_id"]: card for card in part.of(CARDS)}
    found.checked[CARDS] += len(stored)
    for key, card in cards.cards.items():
        document = stored.pop(key, None)
        if document is None:
            found.differ(CARDS, key, key, "is not stored, though it was announced")
            continue
        try:
            if wrong := unlike(document, _document(card)):
                found.differ(CARDS, key, key, wrong)
        except UNREADABLE as error:
            found.differ(CARDS, key, key, f"is not of a card's shape ({error!r})")
    for key in stored:
        found.differ(CARDS, key, key, "is stored, though nothing was announced of it")


def _document(card: Card) -> Document:
    totals = {name: sum(account[name] for account in card.accounts.values()) for name in TOTALS}
    return {
        "tenant": card.tenant,
        "id": card.id,
        "status": card.status,
        **totals,
        "accounts": card.accounts,
    }
