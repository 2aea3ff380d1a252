"""OpenAPI of the program: FastAPI's own, and the schemas of what we read and write ourselves."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.contracts.program import Account, Settings
from shared.runtime.http.description import READ, WRITE, finished

_TEMPLATE = "#/components/schemas/{model}"
_ETAG = {"ETag": {"required": True, "schema": {"type": "string"}, "description": '`"<version>"`'}}


class Stamps(BaseModel):
    """What the service adds to a document. `version` is the program's when this last changed."""

    id: str
    version: int
    status: Literal["active", "inactive", "archived"]
    created_at: datetime | None
    updated_at: datetime | None
    updated_by: str | None


class AccountAnswer(Stamps, Account):
    """An account as it is."""


class SettingsAnswer(Stamps, Settings):
    """The settings as they are."""


class AccountsAnswer(BaseModel):
    """A page of accounts."""

    items: list[AccountAnswer]
    next_cursor: str | None
    total: int | None = None


class ChangeAnswer(BaseModel):
    """One change: an entity's status and document before and after."""

    version: int
    kind: Literal["accounts", "settings"]
    id: str
    change: Literal["create", "update", "activate", "deactivate", "archive"]
    updated_at: datetime
    updated_by: str
    before: dict[str, Any] | None
    after: dict[str, Any]


class HistoryAnswer(BaseModel):
    """A page of changes."""

    items: list[ChangeAnswer]
    next_cursor: str | None
    total: int | None = None


_READ = (Account, Settings)
_WRITTEN = (AccountAnswer, SettingsAnswer, AccountsAnswer, HistoryAnswer)


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """For `openapi_extra` of a route whose body we read, because FastAPI's reader is not strict."""
    return {"requestBody": {"required": True, "content": _json(model)}}


def gives(model: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses` of a route: the answer; of one entity with its version as `ETag`."""
    tagged = {"headers": _ETAG} if issubclass(model, Stamps) else {}
    answer = {"description": "As it is now", **tagged, "content": _json(model)}
    return dict.fromkeys(statuses, answer)


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _TEMPLATE.format(model=model.__name__)}}}


def described(app: FastAPI) -> Mapping[str, Any]:
    """FastAPI's description of `app` with the schemas that `takes` and `gives` refer to."""
    description = app.openapi()
    _, schemas = models_json_schema(
        [*((one, "validation") for one in _READ), *((one, "serialization") for one in _WRITTEN)],
        ref_template=_TEMPLATE,
    )
    components = description["components"]
    whole = {**components, "schemas": {**components.get("schemas", {}), **schemas["$defs"]}}
    return finished({**description, "components": whole}, READ, WRITE)
