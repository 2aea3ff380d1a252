"""A submitted event, from its members to the bytes that the log keeps, or why it is not taken.

One pass, about 10 µs for a checkout of two lines: bounds, the contract's Structs, amounts and
instants in their one form, personal data refused, the value written and its content hashed.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from services.ingest.domain import amounts
from services.ingest.domain.amounts import Places
from services.ingest.domain.bounds import PERSONAL, OutOfBounds, long_text, tidy
from services.ingest.domain.faults import faults
from services.ingest.domain.quick import control_characters, quick
from services.ingest.domain.refusal import Fault, Refusal, invalid
from shared.contracts import actions
from shared.contracts.events import (
    ID_RESERVED_PREFIX,
    PERSONAL_ATTRIBUTES,
    TEXT_BYTES_MAX,
    Data,
    Envelope,
    Id,
)

_write = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode


class Ready(Struct, frozen=True, gc=False):
    """An event that may be produced. `time` is empty where the client sent none."""

    id: str
    customer: str
    action: str
    time: str
    value: bytes
    content: str


class CurrencyMissing:
    """The event has amounts and names no currency: come again with the program's."""


CURRENCY_MISSING: Final = CurrencyMissing()
Answer = Ready | Refusal | CurrencyMissing


class _Built(Struct, frozen=True):
    """What checking an action's data takes, made once."""

    data: type[Data]
    quick: type[Struct]
    places: Places


_BUILT = {
    action: _Built(owned.data, quick(owned.data), amounts.places(owned.data))
    for action, owned in actions.BUILT.items()
}
_QuickEnvelope: Any = quick(Envelope)


class _Key(Struct):
    id: Id


class Door(Struct, frozen=True):
    """What an event needs from outside: the tenant's content hash, and an id where it has none."""

    content: Callable[[bytes], str]
    new_id: Callable[[], str]


def submit(members: object, door: Door, *, key: str | None = None, currency: str = "") -> Answer:
    """One event as `strict.decode` gives it → what to produce, or why not. Changes `members`.

    `key` is the request's `Idempotency-Key`: the id where the body has none. `currency` is the
    program's, for amounts without one.
    """
    if type(members) is not dict:
        return invalid(Fault((), "must be an object"))
    try:
        tidy(members)
    except OutOfBounds as error:
        return invalid(Fault(error.path, str(error)), event_id=_id_of(members))
    data = members.pop("data", {})
    try:
        envelope = msgspec.convert(members, _QuickEnvelope)
        built = _BUILT[envelope.action]
        msgspec.convert(data, built.quick)
    except (msgspec.ValidationError, KeyError):
        return _why_not(members, data)
    found = _personal(data) + _id_faults(envelope.id, key)
    event_id = envelope.id or key
    if event_id and event_id.startswith(ID_RESERVED_PREFIX) and not found:
        return Refusal("id_reserved", id=event_id)
    event = {
        "account": envelope.account or "",
        "action": envelope.action,
        "customer": envelope.customer,
        "data": data,
        "id": event_id,
    }
    if envelope.time is not None:
        try:
            event["time"] = amounts.utc(envelope.time)
        except OverflowError:
            found.append(Fault(("time",), amounts.NO_YEAR))
    answer = _written(event, built.places, currency, door, found)
    if type(answer) is Ready and control_characters(answer.value):
        return _looked_at_closely(members, data, built) or answer
    if answer is CURRENCY_MISSING:
        members["data"] = data
    return answer


def _written(
    event: dict[str, Any],
    places: Places,
    currency: str,
    door: Door,
    found: list[Fault],
) -> Answer:
    """Amounts and instants in their one form, then the value and the hash of the content.

    The value is the content's canonical form too, but for a currency that the client did not name.
    """
    data = event["data"]
    fill = False
    if places.instants:
        found += amounts.write_instants(data, places, ("data",))
    if places.money:
        named = data.get("currency")
        fill = named is None and amounts.has_money(data, places)
        if fill and not currency:
            return CURRENCY_MISSING
        if fill or named is not None:
            found += amounts.write_money(data, places, named or currency, ("data",))
    if found:
        return invalid(*found, event_id=event["id"])
    if event["id"] is None:
        event["id"] = door.new_id()
    canonical = b""
    if fill:
        canonical = _write({**event, "data": amounts.without_currency(data, places)})
        data["currency"] = currency
    value = _write(event)
    if len(value) > TEXT_BYTES_MAX:
        try:
            long_text(event)
        except OutOfBounds as error:
            return invalid(Fault(error.path, str(error)), event_id=event["id"])
    return Ready(
        event["id"],
        event["customer"],
        event["action"],
        event.get("time", ""),
        value,
        door.content(canonical or value),
    )


def _personal(data: dict[str, Any]) -> list[Fault]:
    if PERSONAL_ATTRIBUTES.isdisjoint(data):
        return []
    return [Fault(("data", name), PERSONAL) for name in data if name in PERSONAL_ATTRIBUTES]


def _id_faults(event_id: str | None, key: str | None) -> list[Fault]:
    if key is None:
        return []
    if event_id is None:
        return [Fault(at, f"(Idempotency-Key) {words}") for at, words in faults({"id": key}, _Key)]
    return [] if event_id == key else [Fault(("id",), "differs from the Idempotency-Key")]


def _looked_at_closely(members: dict[str, Any], data: object, built: _Built) -> Refusal | None:
    """What the quick pass left out: the pattern of ids, by the contract itself."""
    try:
        msgspec.convert(members, Envelope)
        msgspec.convert(data, built.data)
    except msgspec.ValidationError:
        return _why_not(members, data)
    return None


def _why_not(members: dict[str, Any], data: object) -> Refusal:
    """All that the contract has against the event; that the action is unknown only if it is all."""
    found = list(faults(members, Envelope))
    action = members.get("action")
    built = _BUILT.get(action) if type(action) is str else None
    if built is not None:
        found += faults(data, built.data, ("data",))
        found += _personal(data) if type(data) is dict else []
    elif type(action) is str and action and all(fault.path == ("action",) for fault in found):
        return _not_built(action, _id_of(members))
    return invalid(*found, event_id=_id_of(members))


def _not_built(action: str, event_id: str | None) -> Refusal:
    if action in actions.PLANNED:
        return Refusal("action_unavailable", f"{action} is not built yet.", id=event_id)
    return Refusal("action_unknown", f"There is no action {action[:64]!r}.", id=event_id)


def _id_of(members: dict[str, Any]) -> str | None:
    """The id to answer with, where the event has one that is no fault itself."""
    event_id = members.get("id")
    return event_id if not any(faults({"id": event_id}, _Key)) else None
