"""What a program is made of: entities at their latest revision, and the changes to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

Document = Mapping[str, Any]
Status = Literal["inactive", "active", "archived"]
Verb = Literal["create", "update", "activate", "deactivate", "archive"]


@dataclass(frozen=True, slots=True)
class Revision:
    """An entity as one version left it. `created_version`: the version that made the entity."""

    kind: str
    id: str
    version: int
    status: Status
    document: Document
    created_at: datetime
    created_version: int
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class Change:
    """One entity's next revision, before it has a number."""

    verb: Verb
    kind: str
    id: str
    status: Status
    document: Document


@dataclass(frozen=True, slots=True)
class Refused:
    """A change that may not be: a code of `shared.contracts.problems`, why, where in the body."""

    code: str
    detail: str
    pointer: str | None = None


Decision = Sequence[Change] | Refused
"""No change at all is a decision too: everything is so already."""


@dataclass(frozen=True, slots=True)
class Program:
    """A tenant's entities at one version, by kind and id."""

    version: int
    entities: Mapping[tuple[str, str], Revision]

    def get(self, kind: str, id_: str) -> Revision | None:
        """The entity, archived ones too; `None` where there never was one."""
        return self.entities.get((kind, id_))

    def of(self, kind: str) -> list[Revision]:
        """All of a kind in order of their creation."""
        found = [entity for entity in self.entities.values() if entity.kind == kind]
        return sorted(found, key=lambda entity: entity.created_version)


def evolve(program: Program, changes: Sequence[Change], at: datetime, by: str) -> Program:
    """The program after `changes`, one version each, in their order."""
    for change in changes:
        before = program.get(change.kind, change.id)
        version = program.version + 1
        after = Revision(
            kind=change.kind,
            id=change.id,
            version=version,
            status=change.status,
            document=change.document,
            created_at=before.created_at if before else at,
            created_version=before.created_version if before else version,
            updated_at=at,
            updated_by=by,
        )
        program = replace(
            program, version=version, entities={**program.entities, (after.kind, after.id): after}
        )
    return program
