"""Entities as clients read them: the document's own fields beside the stamps."""

from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import BaseModel
from starlette.responses import Response

from services.program.domain import settings
from services.program.domain.revisions import Document, Program, Revision
from shared.contracts.outcomes import instant
from shared.contracts.program import Account, Settings

MODELS: Mapping[str, type[BaseModel]] = {"accounts": Account, "settings": Settings}
Answer = dict[str, Any]

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def answer_in(program: Program, kind: str, id_: str) -> Answer:
    """The entity as it is in `program`; version 0 where nobody made it yet.

    Settings have their defaults even then, any other kind only the stamps.
    """
    if found := program.get(kind, id_):
        return entity_answer(found)
    implied = settings.effective(program) if kind == settings.KIND else None
    return {
        "id": id_,
        "version": 0,
        "status": "active" if implied else None,
        "created_at": None,
        "updated_at": None,
        "updated_by": None,
        **(_fields(kind, implied) if implied else {}),
    }


def entity_answer(revision: Revision) -> Answer:
    """An entity: its stamps, then its document."""
    return {
        "id": revision.id,
        "version": revision.version,
        "status": revision.status,
        "created_at": instant(revision.created_at),
        "updated_at": instant(revision.updated_at),
        "updated_by": revision.updated_by,
        **_fields(revision.kind, revision.document),
    }


def change_answer(stored: Mapping[str, Any]) -> Answer:
    """One line of the history: who changed what and when, with the entity before and after."""
    kind, before = stored["kind"], stored["before"]
    return {
        "version": stored["version"],
        "kind": kind,
        "id": stored["id"],
        "change": stored["change"],
        "updated_at": instant(stored["updated_at"]),
        "updated_by": stored["updated_by"],
        "before": before and {"status": stored["before_status"], **_fields(kind, before)},
        "after": {"status": stored["status"], **_fields(kind, stored["document"])},
    }


def _fields(kind: str, document: Document) -> Answer:
    # Percentages are stored as texts: BSON has no exact number that JSON readers know.
    return MODELS[kind].model_validate(document).model_dump(exclude_none=True)


def as_json(body: Answer, status: int = 200, **headers: str) -> Response:
    """The HTTP answer; exact numbers stay exact."""
    return Response(_ENCODER.encode(body), status, headers, "application/json")


def as_entity(body: Answer, status: int = 200, **headers: str) -> Response:
    """`as_json` with the entity's version as `ETag`."""
    return as_json(body, status, etag=f'"{body["version"]}"', **headers)
