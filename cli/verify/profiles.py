"""Profiles of customers beside what their decisions say."""

from dataclasses import dataclass, field
from datetime import datetime

from cli.verify.documents import UNREADABLE, customer_of, unlike
from cli.verify.findings import Findings
from cli.verify.snapshot import Part
from cli.verify.states import began
from shared.runtime.ports import Document

DECISIONS = "customers.decisions"
PROFILES = "customers.profiles"
SHOWN = {"banned": "opted_out"}
"""Standings that clients see under another word."""


@dataclass(slots=True)
class Profile:
    """`forgotten`: the decision with which the generation before this one ended."""

    tenant: str
    id: str
    standing: str | None = None
    generation: int = 1
    forgotten: int = 0
    opted_in_at: datetime | None = None
    reason: str | None = None
    labels: list[str] = field(default_factory=list)

    @property
    def status(self) -> dict[str, str]:
        """As a decision shows it."""
        word = self.standing
        return {} if word is None else {"status": SHOWN.get(word, word)}


@dataclass(slots=True)
class Profiles:
    """Of one partition; what cannot be is a difference of the decision that says it."""

    found: Findings
    customers: dict[str, Profile] = field(default_factory=dict)

    def fold(self, decision: Document) -> None:
        """The next decision of the partition."""
        key = customer_of(decision)
        profile = self.customers.get(key)
        if profile is None:
            profile = Profile(decision["tenant"], decision["customer"])
            if decision["facts"]:
                self.customers[key] = profile
        for fact in decision["facts"]:
            if sentence := _take(profile, fact, decision):
                self.found.differ(DECISIONS, key, decision["_id"], sentence)
        if decision["result"] != profile.status:
            sentence = f"shows {decision['result']}, but after it is {profile.status}"
            self.found.differ(DECISIONS, key, decision["_id"], sentence)


def _take(profile: Profile, fact: Document, decision: Document) -> str:
    match fact["type"]:
        case "customer_opted_in":
            profile.standing, profile.reason = "active", None
            profile.opted_in_at, profile.labels = decision["time"], fact["labels"]
            if fact["generation"] != profile.generation:
                return f"opts in generation {fact['generation']}, not {profile.generation}"
        case "customer_opted_out":
            profile.standing = "banned" if fact["banned"] else "opted_out"
            profile.generation, profile.forgotten = profile.generation + 1, decision["_id"]
            profile.opted_in_at, profile.labels = None, []
            profile.reason = fact["reason"]
        case "customer_suspended":
            profile.standing, profile.reason = "suspended", fact["reason"]
        case "customer_unsuspended":
            profile.standing, profile.reason = "active", fact["reason"]
        case "customer_seen":
            profile.standing = "inactive"
        case kind:
            return f"states {kind!r}, a fact that verify does not know"
    return ""


def check_profiles(profiles: Profiles, part: Part, found: Findings) -> None:
    """Every stored profile, and every one that should be."""
    stored = {profile["_id"]: profile for profile in part.of(PROFILES)}
    found.checked[PROFILES] += len(stored)
    for key, profile in profiles.customers.items():
        document = stored.pop(key, None)
        if document is None:
            found.differ(PROFILES, key, key, "is not stored, though decisions changed it")
            continue
        try:
            if wrong := _wrong(document, profile, part.partition):
                found.differ(PROFILES, key, key, wrong)
        except UNREADABLE as error:
            found.differ(PROFILES, key, key, f"is not of a profile's shape ({error!r})")
    for key in stored:
        found.differ(PROFILES, key, key, "is stored, though no decision made it")


def _wrong(document: Document, profile: Profile, partition: int) -> str:
    expected = {
        "tenant": profile.tenant,
        "customer": profile.id,
        "partition": partition,
        "standing": profile.standing,
        "generation": profile.generation,
        "since": began(profile.forgotten),
        "opted_in_at": profile.opted_in_at,
        "reason": profile.reason,
        "labels": profile.labels,
    }
    return unlike(document, expected)
