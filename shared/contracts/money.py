"""Money: integers of the currency's smallest unit, exact from the wire to the ledger."""

from decimal import Decimal

from iso4217 import Currency

EXPONENTS: dict[str, int] = {
    currency.code: currency.exponent for currency in Currency if currency.exponent is not None
}
"""Digits after the point by ISO 4217 code: EUR 2, JPY 0, KWD 3."""

MINOR_MAX = 2**53 - 1
"""The largest amount, in minor units: what every JSON reader can hold exactly."""


def minor_units(amount: Decimal, currency: str) -> int:
    """`12.5` EUR → 1250. Raises `ValueError`: NaN, a sign, too many digits, too large."""
    exponent = EXPONENTS[currency]
    if not amount.is_finite():
        raise ValueError("is not a finite number")
    if amount.is_signed() and amount != 0:
        raise ValueError("must not be negative")
    if amount.adjusted() > 18:  # before scaling, so that 1e999999 costs nothing
        raise ValueError("is too large")
    if -int(amount.as_tuple().exponent) > exponent:
        raise ValueError(f"has more than the {exponent} digits after the point that {currency} has")
    minor = int(amount.scaleb(exponent))
    if minor > MINOR_MAX:
        raise ValueError("is too large")
    return minor


def as_text(minor: int, currency: str) -> str:
    """1250 EUR → `"12.50"`: what answers and the log carry."""
    exponent = EXPONENTS[currency]
    if exponent == 0:
        return str(minor)
    sign, digits = ("-" if minor < 0 else ""), str(abs(minor)).rjust(exponent + 1, "0")
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"


def from_text(text: str) -> int:
    """`"12.50"` → 1250. Only for texts of `as_text`: their digits are the currency's."""
    return int(text.replace(".", "", 1))
