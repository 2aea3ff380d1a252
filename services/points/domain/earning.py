"""Earning: how many points a checkout's money is worth under an account's earn rule."""

from collections.abc import Sequence
from decimal import Decimal

from services.points.domain.program import EarnRule, Rounding
from shared.contracts.events import Checkout, Item
from shared.contracts.money import EXPONENTS, minor_units

RATE_UNITS = 10_000
"""Basis points of one: a rate of 10,000 gives one point per whole unit of money."""


def points_earned(rule: EarnRule | None, checkout: Checkout, currency: str) -> int:
    """Points for a checkout; what the client states wins over the rule (Part 5), no rule: none."""
    if checkout.points_rewarded is not None:
        return checkout.points_rewarded
    if rule is None:
        return 0
    rate = rule.rate_for(currency)
    if rule.by_item:
        return sum(_item_points(rule, item, rate, currency) for item in checkout.items)
    return _points(
        total_of(checkout, currency, discounted=rule.discounted_price), rate, currency, rule
    )


def total_of(checkout: Checkout, currency: str, *, discounted: bool) -> int:
    """Minor units: the total as sent, else the sum of the lines, discounted or not."""
    if checkout.total is not None:
        return minor_units(checkout.total, currency)
    return lines_total(checkout.items, currency, discounted=discounted)


def lines_total(items: Sequence[Item], currency: str, *, discounted: bool) -> int:
    """Minor units of all lines."""
    return sum(line_amount(item, currency, discounted=discounted) for item in items)


def line_amount(item: Item, currency: str, *, discounted: bool) -> int:
    """Minor units of a line: `subtotal` if sent, else price x quantity - discount (never below 0);
    not discounted: price x quantity, where a price is known (Part 5).
    """
    full = _minor(item.price, currency) * item.quantity
    if not discounted and item.price is not None:
        return full
    if item.subtotal is not None:
        return minor_units(item.subtotal, currency)
    return max(0, full - _minor(item.discount, currency))


def rounded(numerator: int, denominator: int, rounding: Rounding) -> int:
    """`numerator / denominator` in whole points; `round` takes half away from zero (Part 5)."""
    if rounding == "floor":
        return numerator // denominator
    if rounding == "ceil":
        return -(-numerator // denominator)
    half_up = (2 * abs(numerator) + denominator) // (2 * denominator)
    return half_up if numerator >= 0 else -half_up


def _item_points(rule: EarnRule, item: Item, rate: int, currency: str) -> int:
    amount = line_amount(item, currency, discounted=rule.discounted_price)
    if not rule.by_piece:
        return _points(amount, rate, currency, rule)
    return _points(amount, rate, currency, rule, pieces=item.quantity) * item.quantity


def _points(amount: int, rate: int, currency: str, rule: EarnRule, *, pieces: int = 1) -> int:
    """Of one piece, whose price is `amount / pieces`, exact until the one rounding."""
    return rounded(amount * rate, RATE_UNITS * 10 ** EXPONENTS[currency] * pieces, rule.rounding)


def _minor(amount: Decimal | None, currency: str) -> int:
    return 0 if amount is None else minor_units(amount, currency)
