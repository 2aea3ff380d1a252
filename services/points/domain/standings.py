"""Standings: follows what the customers service decides, by the one shared table."""

from services.points.domain.customers import CustomerPoints
from services.points.domain.program import Program
from shared.contracts.decisions import Decision, followed
from shared.contracts.events import Event, OptOut
from shared.contracts.facts import AccountOpened, StandingChanged
from shared.contracts.standing import Refused, transition


def follow(event: Event, state: CustomerPoints, program: Program) -> Decision:
    """`opt_in`, `opt_out`, `suspend`, `unsuspend`: the standing after it; no facts where its owner
    refuses it. An opt-in opens the accounts that begin with it (ACC-11), an opt-out ends a
    generation (CUS-17).
    """
    banned = isinstance(event.data, OptOut) and event.data.banned
    after = transition(state.standing, event.action, banned=banned)
    if isinstance(after, Refused):
        return followed()
    if event.action == "opt_in":
        return followed(StandingChanged(after), *_opened(state, program))
    return followed(StandingChanged(after, forgotten=event.action == "opt_out"))


def _opened(state: CustomerPoints, program: Program) -> list[AccountOpened]:
    return [
        AccountOpened(id_)
        for id_, rules in sorted(program.accounts.items())
        if rules.active and rules.init_on_opt_in and id_ not in state.accounts
    ]
