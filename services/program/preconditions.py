"""What a client expects to change: `If-Match`, `If-None-Match`, an answer sent back as it was."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Self

from fastapi import Header

from services.program.domain.revisions import Refused
from shared.runtime.http import Problem

STAMPS = ("id", "version", "status", "created_at", "updated_at", "updated_by")
"""What answers carry beside the document; a client may send it back, but not change it."""

_TAG = r'(?:W/)?"[^"]*"'
_TAGS = re.compile(rf"{_TAG}(?:\s*,\s*{_TAG})*")


@dataclass(frozen=True, slots=True)
class Expected:
    """What must hold of the present entity. `stamps`: those that the body repeats."""

    match: str | None
    none_match: str | None
    stamps: Mapping[str, object] = field(default_factory=dict)

    def with_stamps(self, stamps: Mapping[str, object]) -> Self:
        """The same, and the body's own words about what it replaces."""
        return replace(self, stamps=stamps)

    def missed(self, present: Mapping[str, object]) -> Refused | None:
        """What is not as expected, if anything. `present`: the entity's answer; no status: none.

        `version_conflict` for another version, `body_invalid` for a stamp that was changed.
        """
        version = present["version"]
        if (
            (self.match and not _names(self.match, present))
            or (self.none_match and _names(self.none_match, present))
            or self.stamps.get("version", version) != version
        ):
            return Refused("version_conflict", f"The present version is {version}.")
        for name, sent in self.stamps.items():
            if (type(sent), sent) != (type(present[name]), present[name]):
                return Refused("body_invalid", "must stay as it is, or be left out", f"/{name}")
        return None


_SHAPE = {"pattern": rf"^(\*|{_TAGS.pattern})$"}
_MATCH = Header(description='`"<version>"`: only this one', json_schema_extra=_SHAPE)
_NONE_MATCH = Header(description="`*`: only if it is new", json_schema_extra=_SHAPE)


def expected(
    if_match: Annotated[str | None, _MATCH] = None,
    if_none_match: Annotated[str | None, _NONE_MATCH] = None,
) -> Expected:
    """The request's conditions; 400 `parameter_invalid` for what is none."""
    for name, value in (("If-Match", if_match), ("If-None-Match", if_none_match)):
        if value is not None and value != "*" and not _TAGS.fullmatch(value):
            raise Problem(
                "parameter_invalid", f'{name} must be * or a version as in "12".', parameter=name
            )
    return Expected(if_match, if_none_match)


def _names(header: str, present: Mapping[str, object]) -> bool:
    """Whether the header names what is there. Our tags are strong: weak ones fit none."""
    if present["status"] is None:
        return False
    return header == "*" or f'"{present["version"]}"' in re.findall(_TAG, header)
