"""Events as clients submit them: the envelope and the data of each action, one Struct each.

Unknown fields of `data` are kept and pass through (an event may carry what a program's rules and
reports need); unknown fields of the envelope are refused, since they are misspellings.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from shared.contracts.decisions import number

INTEGER_END = 2**53
"""Integers stay below this at any depth: beyond it JSON readers disagree."""
TEXT_BYTES_MAX = 64 * 1024
DEPTH_MAX = 32
BODY_BYTES_MAX = 1024 * 1024
BATCH_BYTES_MAX = 8 * 1024 * 1024
BATCH_EVENTS_MAX = 1000
ID_RESERVED_PREFIX = "~"
"""Ids that services make begin so; the gateway refuses them from clients."""

Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        pattern="^(?![\\s\\S]*[\\u0000-\\u001f\\u007f-\\u009f])",
        description="1 to 128 characters, none of them a control character",
    ),
]
Action = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[a-z0-9_]+(?!\\n)$")]
AccountId = Annotated[str, Meta(max_length=64, pattern="^[a-z0-9_]*(?!\\n)$")]
Points = Annotated[int, Meta(ge=1, lt=INTEGER_END)]
PointsOrNone = Annotated[int, Meta(ge=0, lt=INTEGER_END)]
Quantity = Annotated[int, Meta(ge=1, lt=INTEGER_END)]
Text = Annotated[str, Meta(max_length=TEXT_BYTES_MAX)]
Instant = Annotated[datetime, Meta(tz=True)]
CurrencyCode = Annotated[str, Meta(min_length=3, max_length=3, pattern="^[A-Z]{3}$")]
Money = Annotated[
    Decimal,
    Meta(
        description="a JSON number or a text with at most the currency's digits; not negative",
        extra_json_schema={"type": ["number", "string"], "format": "decimal"},
    ),
]


class Envelope(Struct, forbid_unknown_fields=True, gc=False):
    """What `POST /v1/events` takes (API.md): `customer` and `action` are required."""

    customer: Id
    action: Action
    id: Id | None = None
    account: AccountId | None = None
    time: Instant | None = None
    data: Raw = Raw(b"{}")


class Profile(Struct, gc=False):
    """Attributes of `opt_in` and `profile`. Personal ones are refused until they are encrypted."""

    labels: list[Id] | None = None


PERSONAL_ATTRIBUTES = frozenset(
    {
        "first_name",
        "last_name",
        "email",
        "gender",
        "birth_date",
        "country",
        "language",
        "phone",
        "custom",
    }
)
"""Data that names a person: the log keeps events for ever, so it may not hold them in the clear."""


class Reason(Struct, gc=False):
    """`suspend`, `unsuspend`."""

    reason: Text | None = None


class OptOut(Struct, gc=False):
    """`opt_out`; `banned`: forced by the operator, no way back (CUS-09)."""

    reason: Text | None = None
    banned: bool = False


class PointAdd(Struct, gc=False):
    """`point_add` (PTS-08, PTS-11): `expires_at` is an instant, kept as sent."""

    points: Points
    expires_at: Instant | None = None
    reason: Text | None = None


class PointTake(Struct, gc=False):
    """`point_sub` (PTS-09) and `point_spend` (PTS-10)."""

    points: Points
    reason: Text | None = None


class Unpark(Struct, gc=False):
    """`unpark`, a control event: `service` decides what it let wait of this customer."""

    service: str


class Item(Struct, gc=False):
    """A line of a checkout. subtotal = `subtotal`, else price x quantity - discount (Part 5)."""

    product_id: Id
    quantity: Quantity = 1
    product_name: Text | None = None
    category: Text | None = None
    price: Money | None = None
    discount: Money | None = None
    subtotal: Money | None = None


class Checkout(Struct, gc=False):
    """`checkout` (TRX-10): total = `total`, else the sum of the lines' subtotals (Part 5)."""

    transaction_id: Id
    total: Money | None = None
    currency: CurrencyCode | None = None
    items: list[Item] = []
    points_burned: PointsOrNone | None = None
    points_rewarded: PointsOrNone | None = None
    guest: bool = False


Data = Profile | Reason | OptOut | PointAdd | PointTake | Checkout | Unpark


class Logged(Struct, gc=False):
    """An event's value on the inbox and the log: normalised, money as text with all its digits."""

    id: str
    customer: str
    action: str
    data: Raw
    account: str = ""
    time: datetime | UnsetType = UNSET
    source: str | UnsetType = UNSET
    admin: str | UnsetType = UNSET


class Event(Struct, frozen=True, gc=False):
    """An event as a rule sees it: stamped by the journal, its data typed.

    `time` is when it happened (clamped), `recorded_at` when the journal took it; both aware UTC.
    """

    id: str
    tenant: str
    customer: str
    action: str
    account: str
    """Empty where the client named none."""
    time: datetime
    recorded_at: datetime
    program: int
    partition: int
    seq: int
    data: Data
    digest: bytes = b""
    """16 bytes of SHA-256 over account and data: tells a repeated checkout from another one."""
    reply_to: str = ""
    cause: str = ""
    hops: int = 0
    ordinal: int = 0
    """Above 0 only where an event is decided at a later place than its own: unparked."""

    @property
    def number(self) -> int:
        """The number of its decision: where in the log it is decided."""
        return number(self.partition, self.seq, self.ordinal)

    @property
    def key(self) -> str:
        """`tenant/customer`: unique, since a tenant id has no slash."""
        return f"{self.tenant}/{self.customer}"
