"""The contract's Structs without what costs most, for the pass that nearly every event passes.

Two thirds of the time of checking a checkout went into the pattern of its ids and into decimals.
So a quick Struct leaves both out: `control_characters` looks for what the pattern forbids in the
whole event at once, and `amounts` reads the money anyway. Where they find something, the contract
decides; a property test holds both to the same answer.
"""

from decimal import Decimal
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import fields

from shared.contracts.events import Id

_ID_PATTERN = next(part.pattern for part in get_args(Id) if isinstance(part, Meta))


def quick(kind: type[Struct]) -> type[Struct]:
    """The same members, defaults and bounds, but for the id's pattern and money of any type."""
    return msgspec.defstruct(
        f"Quick{kind.__name__}",
        [_field(field.name, field) for field in fields(kind)],
        gc=False,
        forbid_unknown_fields=kind.__struct_config__.forbid_unknown_fields,
    )


def control_characters(value: bytes) -> bool:
    """Whether JSON that msgspec wrote may hold one; also true for some harmless texts.

    Below U+0020 they are escaped, U+007F stands for itself, U+0080 to U+009F begin with C2.
    """
    return b"\\" in value or b"\x7f" in value or b"\xc2" in value


def _field(name: str, field: msgspec.structs.FieldInfo) -> tuple[str, Any, Any]:
    if field.default_factory is not NODEFAULT:
        default = msgspec.field(default_factory=field.default_factory)
    elif field.default is not NODEFAULT:
        default = field.default
    else:
        default = msgspec.field()
    return name, _eased(field.type), default


def _eased(annotation: Any) -> Any:
    """The annotation with quick Structs, without the id's pattern; Any for money."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return quick(annotation)
    if hasattr(annotation, "__metadata__"):
        plain, metas = parts[0], [_without_pattern(meta) for meta in annotation.__metadata__]
        return Any if plain is Decimal else Annotated[plain, *metas]
    if origin is list:
        return list[_eased(parts[0])]  # type: ignore[misc]  # made at run time
    if parts:
        eased = [_eased(part) for part in parts]
        return Any if Any in eased else _union(eased)
    return annotation


def _without_pattern(meta: Any) -> Any:
    if isinstance(meta, Meta) and meta.pattern == _ID_PATTERN:
        return Meta(min_length=meta.min_length, max_length=meta.max_length)
    return meta


def _union(parts: list[Any]) -> Any:
    union = parts[0]
    for part in parts[1:]:
        union = union | part
    return union
