"""Transactions: what is kept of a checkout, for lists, refunds and repeats."""

from collections.abc import Mapping
from typing import NamedTuple


class Transaction(NamedTuple):
    """An accepted checkout. `total` in minor units of `currency`; `digest` tells repeats apart."""

    id: str
    account: str
    total: int
    currency: str
    rewarded: int
    burned: int
    digest: bytes


class FirstCheckout(NamedTuple):
    """The checkout that took a transaction id; `outcome` is what its client was told."""

    digest: bytes
    outcome: Mapping[str, object]
