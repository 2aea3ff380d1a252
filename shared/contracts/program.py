"""The program's entities as people edit them: accounts and settings (API.md, Program).

Revisions are kept for ever, so a model may only grow: what it once took, it takes always.
"""

import re
from decimal import Decimal
from functools import cache
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from shared.contracts.money import EXPONENTS, as_text, minor_units

POINTS_END = 2**53
DAYS_MAX = 3650
MONTHS_MAX = 120

_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _exact(value: object) -> Decimal:
    """A JSON number or the same in a string → `Decimal`; never through a float."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    raise ValueError("must be a number, such as 12.5 or '12.50'")


def _plain(number: Decimal) -> Decimal:
    """One spelling for equal numbers: `10`, not `10.00` nor `1E+1`."""
    whole = number.to_integral_value()
    return whole.quantize(Decimal(1)) if number == whole else number.normalize()


def _printable(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not hold control characters")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _currency(code: str) -> str:
    if code not in EXPONENTS:
        raise ValueError("is no ISO 4217 currency")
    return code


def _not_built(word: str) -> str:
    """Words that the contract knows and this version cannot do yet; `none` means: off."""
    if word != "none":
        raise PydanticCustomError("not_built", "{word} is not built yet", {"word": word})
    return word


def _time_zone(name: str) -> str:
    if name not in _time_zones():
        raise ValueError("is no IANA time zone, such as Europe/Budapest")
    return name


@cache
def _time_zones() -> frozenset[str]:
    # These two are files beside the zones: one machine's own zone, and none at all.
    return frozenset(available_timezones() - {"localtime", "Factory"})


Percent = Annotated[
    Decimal,
    Field(gt=0, le=100, decimal_places=2),
    BeforeValidator(_exact),
    AfterValidator(_plain),
]
"""More than 0, at most 100, two digits after the point: whole basis points."""
Text = Annotated[str, AfterValidator(_printable)]
Name = Annotated[str, Field(min_length=1), AfterValidator(_printable), AfterValidator(_not_blank)]
CurrencyCode = Annotated[str, AfterValidator(_currency)]
Days = Annotated[int, Field(ge=1, le=DAYS_MAX)]
Months = Annotated[int, Field(ge=1, le=MONTHS_MAX)]
OnExpiry = Literal["accept", "reject"]


class Part(BaseModel):
    """Unknown members are refused: a misspelt rule must not silently do nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class EarnRule(Part):
    """What a checkout earns: `percent` points per 100 units of money; `per_currency` overrides."""

    level: Literal["transaction", "item"] = "transaction"
    percent: Percent | None = None
    per_currency: dict[CurrencyCode, Percent] = {}
    rounding: Literal["round", "ceil", "floor"] = "round"
    rounding_level: Literal["subtotal", "piece"] = "subtotal"
    discounted_price: bool = True


class BurnRate(Part):
    """`points` are worth `amount`; only whole multiples convert."""

    points: Annotated[int, Field(ge=1, lt=POINTS_END)]
    currency: CurrencyCode  # before `amount`, whose digits depend on it
    amount: str

    @field_validator("amount", mode="before", json_schema_input_type=Decimal | str)
    @classmethod
    def _in_its_currency(cls, sent: object, info: ValidationInfo) -> str:
        amount = _exact(sent)
        currency = info.data.get("currency")
        if currency is None:  # which has an error of its own
            return str(amount)
        minor = minor_units(amount, currency)
        if minor == 0:
            raise ValueError("must be more than 0")
        return as_text(minor, currency)


class BurnRule(Part):
    """Exchange rates for points burned in a checkout; none: any number of points."""

    rates: Annotated[list[BurnRate], Field(max_length=200)] = []

    @field_validator("rates")
    @classmethod
    def _unambiguous(cls, rates: list[BurnRate]) -> list[BurnRate]:
        if len({(rate.currency, rate.points) for rate in rates}) < len(rates):
            raise ValueError("must not hold two rates for the same points and currency")
        return rates


class PendingRule(Part):
    """Whether a checkout waits for acceptance. Only `none` is built so far."""

    mode: Annotated[Literal["none", "manual", "automatic"], AfterValidator(_not_built)] = "none"
    days: Days | None = None
    on_expiry: OnExpiry | None = None


class ExpirationRule(Part):
    """When points lapse by themselves. Only `none` is built; `expires_at` of an event works."""

    logic: Annotated[
        Literal["none", "rolling", "activity", "calendar", "anniversary"],
        AfterValidator(_not_built),
    ] = "none"
    days: Days | None = None
    months: Months | None = None
    actions: list[Name] | None = None
    day: Annotated[str, Field(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")] | None = None
    of: Literal["opt_in", "birth_date"] | None = None


class Account(Part):
    """A points account (ACC-03..ACC-14)."""

    name: Annotated[Name, Field(max_length=200)]
    currency_label: Annotated[Name, Field(max_length=32)]
    type: Literal["standard", "status_points"] = "standard"
    family: bool = False
    negative_points: bool = False
    init_on_opt_in: bool = False
    access_level: Annotated[Text, Field(max_length=200)] = ""
    earn: EarnRule | None = None
    burn: BurnRule = BurnRule()
    pending: PendingRule = PendingRule()
    expiration: ExpirationRule = ExpirationRule()

    @field_validator("name")
    @classmethod
    def _not_default(cls, name: str) -> str:
        if name.strip().casefold() == "default":
            raise ValueError("must not be `default`: that is a role, not a name (ACC-07)")
        return name


class CheckoutAccept(PendingRule):
    """Program-wide pending period; only `none` is built so far."""


Module = Literal[
    "expiring_points",
    "checkout_accept",
    "multi_accounts",
    "tiers",
    "coupons",
    "workflows",
    "sync",
]
MODULES: tuple[Module, ...] = (
    "expiring_points",
    "checkout_accept",
    "multi_accounts",
    "tiers",
    "coupons",
    "workflows",
    "sync",
)


class Settings(Part):
    """The one settings document of a program; what a PUT leaves out takes its default.

    `default_account` left out or empty: the account that was created first (ACC-21).
    """

    default_account: Annotated[str, Field(max_length=64)] = ""
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    currency: CurrencyCode = "EUR"
    multi_accounts: bool = True
    keep_checkout_settings: bool = False
    checkout_accept: CheckoutAccept = CheckoutAccept()
    expiration_run: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "02:00"
    refund_expiration: Literal["keep_original", "recompute"] = "keep_original"
    force_account_matching: list[
        Literal["reward", "wheel_spin", "contest_enter", "quiz_enter", "promotion_enter"]
    ] = []
    anonymous_events: bool = False
    log_days: Annotated[int, Field(ge=1, le=DAYS_MAX)] = 90
    modules: list[Module] = list(MODULES)
