"""Decide: which rule an event goes to."""

from services.points.domain.adding import decide_add
from services.points.domain.checkouts import decide_checkout
from services.points.domain.customers import CustomerPoints
from services.points.domain.evolve import evolve
from services.points.domain.program import Program
from services.points.domain.spending import decide_spend, decide_subtract
from services.points.domain.standings import follow
from shared.contracts.decisions import Decision, followed
from shared.contracts.events import Event
from shared.contracts.facts import StandingChanged
from shared.contracts.standing import makes_profile

SEEN = StandingChanged("inactive")


def decide(event: Event, state: CustomerPoints, program: Program) -> Decision:
    """Pure: the same event on the same state under the same program decides the same, for ever.

    An event that makes a profile of an unknown customer does so whatever becomes of it, since the
    customers service, which cannot see this decision, must come to the same standing.
    """
    if not makes_profile(state.standing, event, anonymous_events=program.anonymous_events):
        return _decide(event, state, program)
    decision = _decide(event, evolve(state, SEEN, event), program)
    return Decision(
        decision.outcome,
        (SEEN, *decision.facts),
        decision.code,
        decision.details,
        decision.answer,
    )


def _decide(event: Event, state: CustomerPoints, program: Program) -> Decision:
    match event.action:
        case "checkout":
            return decide_checkout(event, state, program)
        case "point_add":
            return decide_add(event, state, program)
        case "point_spend":
            return decide_spend(event, state, program)
        case "point_sub":
            return decide_subtract(event, state, program)
        case "opt_in" | "opt_out" | "suspend" | "unsuspend":
            return follow(event, state, program)
        case _:
            return followed()
