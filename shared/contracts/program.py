"""The program's entities as people edit them: accounts and settings (API.md, Program)."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from shared.contracts.money import EXPONENTS, minor_units

POINTS_END = 2**53


def _currency(code: str) -> str:
    if code not in EXPONENTS:
        raise ValueError(f"{code} is no ISO 4217 currency")
    return code


class Part(BaseModel):
    """Unknown members are refused: a misspelt rule must not silently do nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EarnRule(Part):
    """What a checkout earns: `percent` points per 100 units of money; `per_currency` overrides it."""

    level: Literal["transaction", "item"] = "transaction"
    percent: Annotated[Decimal, Field(gt=0, le=100, decimal_places=2)] | None = None
    per_currency: dict[str, Annotated[Decimal, Field(gt=0, le=100, decimal_places=2)]] = {}
    rounding: Literal["round", "ceil", "floor"] = "round"
    rounding_level: Literal["subtotal", "piece"] = "subtotal"
    discounted_price: bool = True

    @field_validator("per_currency")
    @classmethod
    def _known_currencies(cls, rates: dict[str, Decimal]) -> dict[str, Decimal]:
        return {_currency(code): rate for code, rate in rates.items()}


class BurnRate(Part):
    """`points` are worth `amount`; only whole multiples convert."""

    points: int = Field(ge=1, lt=POINTS_END)
    amount: Annotated[str, Field(max_length=32)]
    currency: str

    @model_validator(mode="after")
    def _exact(self) -> Self:
        _currency(self.currency)
        try:
            minor = minor_units(Decimal(self.amount), self.currency)
        except ArithmeticError as error:
            raise ValueError(f"amount: {self.amount!r} is no amount") from error
        if minor == 0:
            raise ValueError("amount: must be more than 0")
        return self


class BurnRule(Part):
    """Exchange rates for points burned in a checkout; none: any number of points."""

    rates: list[BurnRate] = []


class PendingRule(Part):
    """Whether a checkout waits for acceptance. Only `none` is built so far."""

    mode: Literal["none"] = "none"


class ExpirationRule(Part):
    """When points lapse by themselves. Only `none` is built so far; `expires_at` of an event works."""

    logic: Literal["none"] = "none"


class Account(Part):
    """A points account (ACC-03..ACC-14)."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    currency_label: Annotated[str, Field(min_length=1, max_length=32)]
    type: Literal["standard", "status_points"] = "standard"
    family: bool = False
    negative_points: bool = False
    init_on_opt_in: bool = False
    access_level: Annotated[str, Field(max_length=200)] = ""
    earn: EarnRule | None = None
    burn: BurnRule = BurnRule()
    pending: PendingRule = PendingRule()
    expiration: ExpirationRule = ExpirationRule()

    @field_validator("name")
    @classmethod
    def _not_default(cls, name: str) -> str:
        if name.strip().casefold() == "default":
            raise ValueError(
                "the name `default` would be mixed up with the default account (ACC-07)"
            )
        return name


class CheckoutAccept(Part):
    """Program-wide pending period; only `none` is built so far."""

    mode: Literal["none"] = "none"


MODULES = (
    "expiring_points",
    "checkout_accept",
    "multi_accounts",
    "tiers",
    "coupons",
    "workflows",
    "sync",
)


class Settings(Part):
    """The one settings document of a program; a PUT replaces it, what is left out takes its default."""

    default_account: str = ""
    time_zone: str = "UTC"
    currency: str = "EUR"
    multi_accounts: bool = True
    keep_checkout_settings: bool = False
    checkout_accept: CheckoutAccept = CheckoutAccept()
    expiration_run: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "02:00"
    refund_expiration: Literal["keep_original", "recompute"] = "keep_original"
    force_account_matching: list[
        Literal["reward", "wheel_spin", "contest_enter", "quiz_enter", "promotion_enter"]
    ] = []
    anonymous_events: bool = False
    log_days: Annotated[int, Field(ge=1, le=3650)] = 90
    modules: list[
        Literal[
            "expiring_points",
            "checkout_accept",
            "multi_accounts",
            "tiers",
            "coupons",
            "workflows",
            "sync",
        ]
    ] = list(MODULES)  # type: ignore[assignment]  # the same words, from one tuple

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, code: str) -> str:
        return _currency(code)
