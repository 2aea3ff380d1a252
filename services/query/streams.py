"""A customer's event stream and points history: owners' decisions → rows. Pure (EVT-11, PTS-06)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from services.query.answers import EventRow, HistoryRow
from services.query.lots import Lot, LotId, label
from shared.runtime.ports import Document

CHANGES = {
    "points_earned": 1,
    "points_spent": -1,
    "points_subtracted": -1,
    "points_expired": -1,
}
"""What a fact's points do to score - spent - expired. Only these change a balance for good: facts
that are not here (reservations, pending points) are no part of the points history (PTS-05)."""

EXPIRATION = "expiration"
"""The action of what a sweep expires: a change of balance, but no event of the customer."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a client sent, as the journal keeps it."""

    data: Mapping[str, Any]
    account: str = ""
    source: str | None = None
    admin: str | None = None


NOT_STORED = Stored({})
"""For decisions that no event of the journal stands behind: sweeps."""


class _Body(msgspec.Struct, gc=False):
    data: dict[str, Any] = {}
    account: str = ""
    source: str | None = None
    admin: str | None = None


_body = msgspec.json.Decoder(_Body)


def stored(event: Document) -> Stored:
    """A document of `journal.events` → what the client sent."""
    body = _body.decode(event["body"])
    return Stored(body.data, body.account, body.source, body.admin)


def earned(decision: Document) -> Iterator[tuple[LotId, Document]]:
    """The lots that a decision made, each with its fact."""
    for fact in decision["facts"]:
        if fact["type"] == "points_earned":
            yield LotId(decision["event"], fact.get("n", 0), fact["account"]), fact


def changes(decision: Document) -> dict[str, int]:
    """What a decision changed, by account and in its order; an account only touched is missing."""
    sums: dict[str, int] = {}
    for fact in decision["facts"]:
        if sign := CHANGES.get(fact["type"]):
            sums[fact["account"]] = sums.get(fact["account"], 0) + sign * fact["points"]
    return dict(sorted(sums.items()))


def event_row(
    decision: Document, event: Stored, lots: Mapping[LotId, Lot], run: datetime | None
) -> EventRow:
    """One event. `lots` holds at least those that it earned; `run`: `lots.next_run`."""
    changed = changes(decision)
    return EventRow(
        id=decision["event"],
        action=decision["action"],
        points=sum(changed.values()),
        account=_account(decision, changed, event),
        time=decision["time"],
        recorded_at=decision["at"],
        source=event.source,
        admin=event.admin,
        data=dict(event.data),
        **_lot_members(_lots(decision, lots), run),
    )


def history_rows(
    decision: Document, event: Stored, lots: Mapping[LotId, Lot], run: datetime | None
) -> list[HistoryRow]:
    """One row for each account that the decision changed for good."""
    return [
        HistoryRow(
            event_id=decision["event"],
            action=decision["action"],
            account=account,
            points=points,
            balance=decision["result"]["balances"][account]["spendable"],
            at=decision["at"],
            reason=_text(event.data.get("reason")),
            **_lot_members(_lots(decision, lots, account), run),
        )
        for account, points in changes(decision).items()
    ]


def _account(decision: Document, changed: Iterable[str], event: Stored) -> str | None:
    """The account that handled the event, else the one that the client named."""
    used = (decision.get("transaction") or {}).get("account")
    return used or next(iter(changed), None) or event.account or None


def _lots(decision: Document, lots: Mapping[LotId, Lot], account: str | None = None) -> list[Lot]:
    """What the decision earned, in one account if named."""
    ids = [id_ for id_, _ in earned(decision) if account in (None, id_.account)]
    return [lots[id_] for id_ in ids if id_ in lots]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _lot_members(lots: list[Lot], run: datetime | None) -> dict[str, Any]:
    """`used_points` counts spends, subs and debts, not reservations (Part 5)."""
    return {
        "expires_at": min((lot.expires_at for lot in lots if lot.expires_at), default=None),
        "used_points": sum(lot.used for lot in lots) if lots else None,
        "points_label": label(lots, run),
    }
