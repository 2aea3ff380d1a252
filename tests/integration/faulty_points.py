"""The real points service with a rule that raises where somebody gets 13 points.

usage: python -m tests.integration.faulty_points
"""

import sys

from services.points import handler
from services.points.app import run
from services.points.domain.customers import CustomerPoints
from services.points.domain.decide import decide
from services.points.domain.program import Program
from shared.contracts.decisions import Decision
from shared.contracts.events import Event, PointAdd
from shared.runtime.settings import Settings


def faulty(event: Event, state: CustomerPoints, program: Program) -> Decision:
    """The rule with its defect."""
    if isinstance(event.data, PointAdd) and event.data.points == 13:
        raise ZeroDivisionError("thirteen")
    return decide(event, state, program)


if __name__ == "__main__":
    handler.decide = faulty  # type: ignore[attr-defined]  # what it imported
    sys.exit(run(Settings.from_environment()))
