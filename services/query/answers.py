"""The rows and answers of the read API (API.md, Query), as OpenAPI describes them."""

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, PlainSerializer, WithJsonSchema

from services.query.lots import Label
from shared.contracts.outcomes import instant

Instant = Annotated[
    datetime,
    PlainSerializer(instant, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Status = Literal["inactive", "active", "suspended", "opted_out", "merged"]
TransactionStatus = Literal["draft", "pending", "accepted", "rejected", "refunded"]


class Answer(BaseModel):
    """What we send: every member is set, `null` where there is nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Row = TypeVar("Row", bound=Answer)


class Listed(Answer, Generic[Row]):
    """A page. `total` only with `count=exact`."""

    items: list[Row]
    next_cursor: str | None
    total: int | None = None


class EventAnswer(BaseModel):
    """What became of an event: the outcome's members, or `problem`, or neither while `queued`;
    `parked`: it waits for an operator."""

    model_config = ConfigDict(extra="allow")

    id: str
    status: Literal["accepted", "refused", "queued", "parked"]
    problem: dict[str, JsonValue] | None = None


class CustomerRow(Answer):
    """A customer in the list (CUS-02, PTS-03): totals over all accounts."""

    id: str
    name: str | None
    email: str | None
    status: Status
    score: int
    spent: int
    expired: int
    spendable: int
    last_login: Instant | None


class AccountBalance(Answer):
    """A customer's account (PTS-01). `spendable` leaves out lots that are due (Part 5)."""

    id: str
    name: str | None
    type: str | None
    score: int
    spent: int
    pending: int
    reserved: int
    expired: int
    spendable: int


class AccountTotals(Answer):
    """An account over all customers. `customers`: those who have something spendable, pending or
    reserved (a debt too); `parked`: the tenant's customers with events that are not decided."""

    account: str
    customers: int
    parked: int
    score: int
    spent: int
    pending: int
    reserved: int
    expired: int
    spendable: int


class CouponCounts(Answer):
    """Coupons now in that status."""

    claimed: int
    unassigned: int
    redeemed: int
    expired: int
    invalid: int
    transferred: int


class Customer(Answer):
    """One customer. `profile`, `tiers`, `segments`, `lists` and `coupons` are empty until built."""

    id: str
    status: Status
    profile: dict[str, JsonValue]
    accounts: list[AccountBalance]
    tiers: list[JsonValue]
    segments: list[JsonValue]
    lists: list[JsonValue]
    labels: list[str]
    coupons: CouponCounts


class EventRow(Answer):
    """An accepted event (EVT-12). `points`: by how much it changed score - spent - expired."""

    id: str
    action: str
    points: int
    account: str | None
    time: Instant
    recorded_at: Instant
    source: str | None
    admin: str | None
    data: dict[str, JsonValue]
    expires_at: Instant | None
    used_points: int | None
    points_label: Label | None


class HistoryRow(Answer):
    """A permanent change of one account by one event (PTS-06); `balance`: spendable after it."""

    event_id: str
    action: str
    account: str
    points: int
    balance: int
    at: Instant
    reason: str | None
    expires_at: Instant | None
    used_points: int | None
    points_label: Label | None


class Item(Answer):
    """A line of a checkout (TRX-08)."""

    product_id: str
    product_name: str | None
    category: str | None
    quantity: int
    price: str | None
    discount: str | None
    subtotal: str | None


class TransactionRow(Answer):
    """A transaction (TRX-02, TRX-08). `customer` is `null` once the customer has opted out."""

    transaction_id: str
    account: str | None
    customer: str | None
    checkout_at: Instant
    recorded_at: Instant
    points_rewarded: int
    points_burned: int
    status: TransactionStatus
    total: str
    refunded: str
    currency: str
    items: list[Item]
