"""The steps of the loop, named, so that tests can kill the process at each of them."""

from collections.abc import Callable
from typing import Literal, get_args

Step = Literal[
    "after_poll",
    "after_decide",
    "between_writes",
    "before_commit",
    "after_commit",
    "before_produce",
    "after_produce",
]
STEPS: tuple[Step, ...] = get_args(Step)

Reached = Callable[[Step], None]


def nothing(step: Step) -> None:
    """What runs at each step in production."""
