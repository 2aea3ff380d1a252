"""Evolve: the profile after a fact. It takes over what the fact says and decides nothing."""

from dataclasses import replace
from typing import cast

from services.customers.domain.profiles import Profile
from shared.contracts.decisions import Decision
from shared.contracts.events import Event
from shared.contracts.facts import (
    CustomerOptedIn,
    CustomerOptedOut,
    CustomerSeen,
    CustomersFact,
    CustomerSuspended,
    CustomerUnsuspended,
)


def fold(profile: Profile, decision: Decision, event: Event) -> Profile:
    """The profile after all facts of a decision, in order."""
    for fact in cast(tuple[CustomersFact, ...], decision.facts):
        profile = evolve(profile, fact, event)
    return profile


def evolve(profile: Profile, fact: CustomersFact, event: Event) -> Profile:
    """The profile after `fact`, which the decision on `event` stated."""
    match fact:
        case CustomerOptedIn():
            return Profile("active", fact.generation, profile.since, event.time, labels=fact.labels)
        case CustomerOptedOut():
            return Profile(
                "banned" if fact.banned else "opted_out",
                profile.generation + 1,
                since=event.number + 1,
                reason=fact.reason,
            )
        case CustomerSuspended():
            return replace(profile, standing="suspended", reason=fact.reason)
        case CustomerUnsuspended():
            return replace(profile, standing="active", reason=fact.reason)
        case CustomerSeen():
            return replace(profile, standing="inactive")
