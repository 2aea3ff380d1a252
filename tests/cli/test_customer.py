"""The customer's page: everything on it, whatever the answers leave out."""

from io import StringIO
from typing import Any

from rich.console import Console

from cli.customer import page

CARD: dict[str, Any] = {
    "id": "c-[1]",
    "status": "active",
    "accounts": [
        {"id": "main", "name": "Main points", "score": 1_200, "spent": 200, "expired": 0,
         "pending": 0, "reserved": 50, "spendable": 950}
    ],
}  # fmt: skip
EVENT = {"id": "basket-7", "action": "checkout", "points": 12, "account": "main",
         "time": "2026-03-01T09:30:00.250Z"}  # fmt: skip
CHANGE = {"event_id": "s-1", "action": "point_spend", "points": -200, "balance": 950,
          "account": "main", "at": "2026-03-02T10:00:00Z"}  # fmt: skip


def _printed(card: dict[str, Any], events: list[Any], history: list[Any]) -> str:
    console = Console(file=StringIO(), width=120)
    console.print(page(card, events, history))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_status_balances_events_and_history_are_shown() -> None:
    printed = _printed(CARD, [EVENT], [CHANGE])
    for words in ("c-[1]", "active", "Main points", "1,200", "950", "basket-7", "+12", "-200"):
        assert words in printed
    assert "2026-03-01 09:30:00" in printed


def test_a_customer_without_anything_has_a_page_too() -> None:
    bare = {"id": "x", "action": "opt_in", "points": None, "account": None, "time": None}
    assert "opted_out" in _printed({"id": "c-2", "status": "opted_out"}, [bare], [])
