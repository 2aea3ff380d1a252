"""What each path takes after `?`, as the client must spell it (API.md, Conventions and Query)."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from services.query.answers import Status, TransactionStatus
from shared.runtime.http import Page, Parameters

CURSOR_CHARACTERS_MAX = 16_384
"""A place in the tenant's transactions is one number a partition, of which there may be 1,023."""

POSITION = {"pattern": "^[0-9]{1,4}-[0-9]{1,12}$"}
"""Only described: the reader itself says in words what is wrong."""
After = Annotated[
    str,
    Field(
        description="a position of an outcome: wait until it is shown", json_schema_extra=POSITION
    ),
]

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _printable(text: str) -> str:
    if CONTROL_CHARACTERS.search(text):
        raise ValueError("must not hold control characters")
    return text


Text = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]
Action = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
AccountId = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]


class Reads(Parameters):
    """Every read may wait for an event."""

    after: After | None = None


class Listing(Page):
    """Every list may wait too."""

    after: After | None = None


class CustomersAsked(Listing):
    """`GET /v1/customers`. `q`: a part of the id, in any case."""

    q: Text | None = None
    status: Status | None = None
    sort: Literal[
        "id", "-id", "score", "-score", "spent", "-spent",
        "expired", "-expired", "spendable", "-spendable", "status", "-status",
    ] = "id"  # fmt: skip
    gender: str | None = None
    country: str | None = None
    tier: str | None = None
    segment: str | None = None
    list: str | None = None
    label: str | None = None

    @field_validator("gender", "country", "tier", "segment", "list", "label")
    @classmethod
    def _not_built(cls, _: str | None) -> None:
        # Ignoring a filter would show customers that the caller asked not to see.
        raise ValueError("cannot be filtered by: not built yet")


class EventsAsked(Listing):
    """`…/{id}/events` (EVT-14, EVT-16, EVT-17)."""

    action: Action | None = None
    transaction_id: Text | None = None
    sort: Literal[
        "recorded_at", "-recorded_at", "time", "-time", "action", "-action", "points", "-points"
    ] = "-recorded_at"


class HistoryAsked(Listing):
    """`…/{id}/points-history` (PTS-18)."""

    action: Action | None = None
    account: AccountId | None = None
    sort: Literal["at", "-at"] = "-at"


class TransactionsAsked(Listing):
    """`…/{id}/transactions` (TRX-09)."""

    transaction_id: Text | None = None
    customer: Text | None = None
    status: TransactionStatus | None = None
    account: AccountId | None = None
    sort: Literal["recorded_at", "-recorded_at", "checkout_at", "-checkout_at"] = "-recorded_at"


class AllTransactionsAsked(TransactionsAsked):
    """`GET /v1/transactions`: across customers only the order of recording comes from an index."""

    cursor: Annotated[str, Field(min_length=1, max_length=CURSOR_CHARACTERS_MAX)] | None = None
    sort: Literal["recorded_at", "-recorded_at"] = "-recorded_at"
