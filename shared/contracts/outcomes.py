"""The outcome of an event as clients get it: by the gateway, at the query service, in a batch."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from shared.contracts.decisions import place, position
from shared.contracts.problems import problem

PARKED = "parked"
"""The status of an event that waits until its customer is unparked (DESIGN section 4, Poison)."""
INSTANTS_KEPT_MAX = 1_024
"""A batch has one stamp, and each of its messages says it several times."""


@lru_cache(INSTANTS_KEPT_MAX)
def instant(value: datetime) -> str:
    """RFC 3339 UTC with `Z`, milliseconds only where there are some."""
    text = value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return text.replace(".000Z", "Z")


def outcome_of(decision: Mapping[str, object], *, duplicate: bool = False) -> dict[str, object]:
    """A stored decision → the outcome of API.md; for a refused one the refusal's problem with `id`;
    for an event that waits parked its place, and that it waits.

    `decision` holds `_id, event, customer, action, at, time, outcome, code, details, facts`, what
    the service adds under `result` (points: `balances`) and what it shows instead under `answer`.
    """
    if decision["outcome"] == "refused":
        details = dict(decision.get("details") or {})  # type: ignore[call-overload]
        return problem(str(decision["code"]), id=decision["event"], duplicate=duplicate, **details)
    partition, seq = place(decision["_id"])  # type: ignore[arg-type]
    own: dict[str, object] = {
        "id": decision["event"],
        "status": PARKED if decision["outcome"] == PARKED else "accepted",
        "customer": decision["customer"],
        "action": decision["action"],
        "recorded_at": decision["at"],
        "time": decision["time"],
        "duplicate": duplicate,
        "pending": False,
        "position": position(partition, seq),
        "facts": decision.get("facts", []),
    }
    result: Mapping[str, object] = decision.get("result", {})  # type: ignore[assignment]
    answer: Mapping[str, object] = decision.get("answer", {})  # type: ignore[assignment]
    # A result hides no member of the outcome: customers announces a `status` of its own.
    return {**own, **{k: v for k, v in result.items() if k not in own}, **answer}
