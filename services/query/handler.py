"""The cards worker: a batch of facts in, changed cards out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.query.cards import Announced, evolve, read
from shared.runtime.ports import Cursor, Dead, Document, Message, Outgoing, Transaction

CARDS = "cards"


class Cards:
    """The projector's handler (see `ports.Handler`). Announces nothing, caches nothing."""

    def due(self, cursors: Mapping[int, Cursor]) -> bool:  # noqa: ARG002  # as the port is
        """Cards change by messages alone."""
        return False

    def decide(
        self,
        messages: Sequence[Message],
        cursors: Mapping[int, Cursor],  # noqa: ARG002
    ) -> "CardsWork":
        """Reads the messages; the cards that they change are read in the transaction."""
        work = CardsWork()
        for message in messages:
            if message.headers.get("outcome") == "refused":
                continue  # nothing changed, and the customer may not even exist
            try:
                key, unknown, news = read(message)
            except (KeyError, ValueError) as error:  # MsgspecError is a ValueError
                work.letters.append(Dead(message, f"{type(error).__name__}: {error}"))
            else:
                work.news.append((key, news))
                work.cards.setdefault(key, unknown)
        return work

    def resend(self, cursor: Cursor) -> Iterable[Outgoing]:  # noqa: ARG002
        """Nothing was announced."""
        return ()

    def forget(self, partitions: Collection[int]) -> None:
        """Nothing is cached."""


@dataclass(slots=True)
class CardsWork:
    """The news of a batch and the cards that they concern (see `ports.Work`)."""

    letters: list[Dead] = field(default_factory=list)
    news: list[tuple[str, Announced]] = field(default_factory=list)
    cards: dict[str, Document] = field(default_factory=dict)
    _changed: list[Document] = field(default_factory=list)

    @property
    def dead(self) -> Sequence[Dead]:
        """Facts that do not decode."""
        return self.letters

    def prepare(self, transaction: Transaction) -> None:
        """Folds the news over the stored cards; one that stays the same is not written."""
        stored = {card["_id"]: card for card in transaction.find(CARDS, self.cards)}
        after = {**self.cards, **stored}
        for key, news in self.news:
            after[key] = evolve(after[key], news)
        self._changed = [card for key, card in after.items() if card != stored.get(key)]

    def last(self) -> Mapping[int, int]:
        """No numbers of our own."""
        return {}

    def marks(self) -> Mapping[int, Mapping[str, Any]]:
        """No marks beside the positions."""
        return {}

    def write(self, transaction: Transaction) -> None:
        """One write per changed customer, however many of its facts the batch held."""
        transaction.put(CARDS, self._changed)

    def outgoing(self) -> Iterable[Outgoing]:
        """Cards are read, not announced."""
        return ()

    def committed(self) -> None:
        """Nothing is cached."""
