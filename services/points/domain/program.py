"""The program as rules read it: accounts and settings of one version, in the smallest units."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from shared.contracts.program import Account as AccountDocument
from shared.contracts.program import EarnRule as EarnDocument
from shared.contracts.program import Settings
from shared.contracts.standing import Refused

Rounding = Literal["round", "ceil", "floor"]


@dataclass(frozen=True, slots=True)
class EarnRule:
    """What money earns (Part 2.5). Rates are basis points: 1,000 are 10 points per 100 units."""

    by_item: bool
    rate: int
    rates: Mapping[str, int]
    rounding: Rounding
    by_piece: bool
    discounted_price: bool

    def rate_for(self, currency: str) -> int:
        """The currency's own rate, else the general one; 0: earns nothing."""
        return self.rates.get(currency, self.rate)


@dataclass(frozen=True, slots=True)
class AccountRules:
    """One account. `burn`: by currency, the multiples of points that convert; empty: any number."""

    id: str
    active: bool
    negative_points: bool
    init_on_opt_in: bool
    earn: EarnRule | None
    burn: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Program:
    """A version of a tenant's program. `expiring_points`: whether that module is on."""

    accounts: Mapping[str, AccountRules]
    default_account: str
    currency: str
    anonymous_events: bool
    expiring_points: bool

    def account(self, named: str) -> AccountRules | Refused:
        """The account that an event means; it named none: the default one (ACC-30..ACC-40).

        Refused: `default_account_missing` only when none is set, `account_unknown`.
        """
        if not named and not self.default_account:
            return Refused("default_account_missing")
        return self.accounts.get(named or self.default_account) or Refused("account_unknown")


def program_of(entities: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Program:
    """From `{kind: {id: {"status", "document"}}}`, as the program service keeps it."""
    documents = [entity["document"] for entity in entities.get("settings", {}).values()]
    settings = Settings.model_validate(documents[0]) if documents else Settings()
    return Program(
        accounts={
            id_: _account(id_, entity["status"], AccountDocument.model_validate(entity["document"]))
            for id_, entity in entities.get("accounts", {}).items()
        },
        default_account=settings.default_account,
        currency=settings.currency,
        anonymous_events=settings.anonymous_events,
        expiring_points="expiring_points" in settings.modules,
    )


def _account(id_: str, status: str, document: AccountDocument) -> AccountRules:
    burn: dict[str, tuple[int, ...]] = {}
    for rate in document.burn.rates:
        burn[rate.currency] = (*burn.get(rate.currency, ()), rate.points)
    return AccountRules(
        id=id_,
        active=status == "active",
        negative_points=document.negative_points,
        init_on_opt_in=document.init_on_opt_in,
        earn=None if document.earn is None else _earn(document.earn),
        burn=burn,
    )


def _earn(document: EarnDocument) -> EarnRule:
    return EarnRule(
        by_item=document.level == "item",
        rate=_basis_points(document.percent or Decimal()),
        rates={code: _basis_points(rate) for code, rate in document.per_currency.items()},
        rounding=document.rounding,
        by_piece=document.rounding_level == "piece",
        discounted_price=document.discounted_price,
    )


def _basis_points(percent: Decimal) -> int:
    """The contract allows two digits after the point, so this is exact."""
    return int(percent * 100)
