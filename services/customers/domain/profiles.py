"""Profiles: what is known of one customer."""

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.standing import Standing


@dataclass(frozen=True, slots=True)
class Profile:
    """`standing` None: nobody has heard of the customer.

    `generation` grows when the customer is forgotten; what counts of the decisions begins at number
    `since`. `reason` was given for the present standing.
    """

    standing: Standing | None = None
    generation: int = 1
    since: int = 0
    opted_in_at: datetime | None = None
    reason: str | None = None
    labels: tuple[str, ...] = ()


UNKNOWN = Profile()
