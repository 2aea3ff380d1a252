"""Writes the contracts as JSON Schema into `schemas/`: `python -m shared.contracts.export`."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import NODEFAULT, Raw, Struct
from msgspec.structs import FieldInfo, fields

from shared.contracts import actions, events, facts

FOLDER = Path(__file__).with_name("schemas")
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_AMOUNT = "^[0-9]{1,16}(\\.[0-9]{1,4})?$"

_LISTS: dict[str, tuple[Any, str]] = {
    "points_facts": (facts.PointsFact, "What `points` announces under `facts`, one by one."),
    "customers_facts": (facts.CustomersFact, "What `customers` announces under `facts`."),
}


def schemas() -> dict[str, bytes]:
    """Every schema by its file's name: envelopes, the data of each action, the facts."""
    structs: dict[str, type[Struct]] = {
        "envelope": readable(events.Envelope),
        "logged": readable(events.Logged),
        **{f"data.{action}": owned.data for action, owned in actions.BUILT.items()},
    }
    made = {name: _schema(kind, "") for name, kind in structs.items()}
    made |= {name: _schema(kind, text) for name, (kind, text) in _LISTS.items()}
    return {f"{name}.json": _written(schema) for name, schema in sorted(made.items())}


def export(folder: Path = FOLDER) -> None:
    """Writes them all, and removes the schemas of what is no more."""
    folder.mkdir(exist_ok=True)
    made = schemas()
    for path in folder.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (folder / name).write_bytes(text)


def _schema(kind: Any, description: str) -> dict[str, Any]:
    described = {"description": description} if description else {}
    return {"$schema": DIALECT, **described, **with_numbers(msgspec.json.schema(kind))}


def with_numbers(schema: Any) -> Any:
    """Money may be sent as a number too; msgspec only knows decimals as texts.

    The pattern counts for texts, the minimum for numbers; how many digits the currency has is not
    said here.
    """
    if isinstance(schema, list):
        return [with_numbers(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {name: with_numbers(member) for name, member in schema.items()}
    if schema.get("format") == "decimal":
        changed |= {"type": ["number", "string"], "pattern": _AMOUNT, "minimum": 0}
    return changed


def readable(kind: type[Struct]) -> type[Struct]:
    """The same Struct with `data` as an object of any members: undecoded bytes have no schema."""
    return msgspec.defstruct(
        kind.__name__,
        [_field(field) for field in fields(kind)],
        forbid_unknown_fields=kind.__struct_config__.forbid_unknown_fields,
        namespace={"__doc__": kind.__doc__},
        kw_only=True,
    )


def _field(field: FieldInfo) -> tuple[str, Any, Any]:
    required = field.default is NODEFAULT and field.default_factory is NODEFAULT
    if field.type is Raw:
        default = msgspec.field() if required else msgspec.field(default_factory=dict)
        return field.name, dict[str, Any], default
    return field.name, field.type, msgspec.field() if required else field.default


def _written(schema: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


if __name__ == "__main__":
    export()
