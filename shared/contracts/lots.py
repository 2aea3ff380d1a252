"""The last page of an account's lots, as points keeps it in the account's state."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec


class KeptLot(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An open lot: `points` earned, `used` of them gone, `held` by reservations."""

    event: str
    n: int
    points: int
    used: int
    held: int
    earned_at: datetime
    expires_at: datetime | None


_decode = msgspec.json.Decoder(tuple[KeptLot, ...]).decode


def last_page(account: Mapping[str, Any]) -> tuple[KeptLot, ...]:
    """The open lots of the page that still fills, of an account in `points.states`."""
    text = account.get("last")
    return _decode(text) if text else ()
