"""Decide: which rule an event goes to; most of it is the one shared table of standings."""

from typing import cast

from services.customers.domain.profiles import Profile
from shared.contracts import events
from shared.contracts.decisions import Decision, accepted, followed, refused
from shared.contracts.events import Event
from shared.contracts.facts import (
    CustomerOptedIn,
    CustomerOptedOut,
    CustomerSeen,
    CustomersFact,
    CustomerSuspended,
    CustomerUnsuspended,
)
from shared.contracts.standing import TRANSITIONS, Refused, makes_profile, transition


def decide(event: Event, profile: Profile, *, anonymous_events: bool) -> Decision:
    """Pure. Changes of standing are ours (CUS-07..CUS-11): refused with the table's code.

    Of other owners' events only those matter that make an inactive profile of an unknown customer;
    `anonymous_events`: the program allows them without an opt-in.
    """
    if event.action in TRANSITIONS:
        return _change(event, profile)
    if makes_profile(profile.standing, event, anonymous_events=anonymous_events):
        return followed(CustomerSeen())
    return followed()


def _change(event: Event, profile: Profile) -> Decision:
    banned = isinstance(event.data, events.OptOut) and event.data.banned
    after = transition(profile.standing, event.action, banned=banned)
    return refused(after.code) if isinstance(after, Refused) else accepted(_fact(event, profile))


def _fact(event: Event, profile: Profile) -> CustomersFact:
    match event.data:
        case events.Profile(labels=labels):
            return CustomerOptedIn(profile.generation, tuple(dict.fromkeys(labels or ())))
        case events.OptOut(reason=reason, banned=banned):
            return CustomerOptedOut(banned, reason)
        case _:
            reason = cast(events.Reason, event.data).reason
            suspends = event.action == "suspend"
            return CustomerSuspended(reason) if suspends else CustomerUnsuspended(reason)
