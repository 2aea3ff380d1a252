"""What became of the events that were sent: counts, and the first problems in words."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

PROBLEMS_KEPT = 10


@dataclass(slots=True)
class Tally:
    """What became of the events so far."""

    accepted: int = 0
    repeats: int = 0
    queued: int = 0
    """Taken by the gateway, outcome not seen."""
    refused: Counter[str] = field(default_factory=Counter)
    """By code."""
    problems: list[str] = field(default_factory=list)
    """The first few, in words."""
    waiting: str = ""
    """Why nothing moves, while nothing does."""

    @property
    def answered(self) -> int:
        """Events that need not be sent again."""
        return self.accepted + self.repeats + self.queued + self.refused.total()

    def count(self, item: dict[str, Any]) -> None:
        """One event's answer: an outcome, a queued answer, or a problem."""
        match item.get("status"):
            case "accepted" if item.get("duplicate"):
                self.repeats += 1
            case "accepted":
                self.accepted += 1
            case "queued":
                self.queued += 1
            case _:
                words = f"{item.get('id', '?')}: {item.get('detail') or item.get('title', '')}"
                self.refuse(str(item.get("code", "unknown")), words + _pointers(item))

    def refuse(self, code: str, words: str) -> None:
        """One event that will never be taken as it is."""
        self.refused[code] += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(f"{code}: {words}")


def _pointers(item: dict[str, Any]) -> str:
    errors = item.get("errors") or []
    return "".join(f" [{e.get('pointer', '')}: {e.get('detail', '')}]" for e in errors[:3])
