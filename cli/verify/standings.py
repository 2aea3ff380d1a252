"""Standings: points follows customers, so the same event must give both the same one."""

from collections.abc import Iterator

from cli.verify.decisions import Owner
from shared.runtime.ports import Document

OF_FACT = {
    "customer_opted_in": "active",
    "customer_suspended": "suspended",
    "customer_unsuspended": "active",
    "customer_seen": "inactive",
}


def apart(customers: Owner, points: Owner, seq: int) -> str:
    """What the two made of the event with this number, where that is not the same; what either
    has not seen, or lets wait, is no concern yet."""
    if customers.here is None and points.here is None:
        return ""
    if seq > min(customers.seen, points.seen) or customers.waits or points.waits:
        return ""
    decided, followed = list(_decided(customers.here)), list(_followed(points.here))
    if decided == followed:
        return ""
    return f"customers makes the standing {_said(decided)} here, and points {_said(followed)}"


def _decided(decision: Document | None) -> Iterator[str]:
    for fact in decision["facts"] if decision else ():
        if fact["type"] == "customer_opted_out":
            yield "banned" if fact["banned"] else "opted_out"
        elif fact["type"] in OF_FACT:
            yield OF_FACT[fact["type"]]


def _followed(decision: Document | None) -> Iterator[str]:
    for fact in decision["facts"] if decision else ():
        if fact["type"] == "standing_changed":
            yield fact["standing"]


def _said(standings: list[str]) -> str:
    return ", ".join(standings) or "stay"
