"""Query parameters and lists: pages, order, cursors (API.md, Conventions)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request

from shared.runtime.http.problems import Problem, parameter_problem

LIMIT_MAX = 1000
Step = str | int | None
"""One part of a place in a list: a sort key, or the id that tells equal keys apart."""


class Parameters(BaseModel):
    """What a path takes after `?`; to be extended. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _whole_number(text: object) -> object:
    """Plain digits only: pydantic would also take `1_000`, `5.0` and blanks around it."""
    if isinstance(text, str) and not (text.isascii() and text.isdecimal()):
        raise ValueError("must be a whole number")
    return text


PlainDigits = BeforeValidator(_whole_number)
"""For parameters that are whole numbers: `Annotated[int, Field(ge=1), PlainDigits]`."""


class Page(Parameters):
    """What every list takes. A list narrows `sort` to its own words."""

    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX), PlainDigits] = 20
    cursor: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    count: Literal["exact"] | None = None


P = TypeVar("P", bound=Parameters)
S = TypeVar("S")


def parameters(request: Request, model: type[P]) -> P:
    """The query string as `model`; 400 `parameter_unknown` or `parameter_invalid` otherwise."""
    sent = request.query_params.multi_items()
    twice = [name for name, times in Counter(name for name, _ in sent).items() if times > 1]
    try:
        found = model.model_validate(dict(sent))
    except ValidationError as error:
        first = error.errors()[0]
        raise parameter_problem(first, str(first["loc"][0])) from error
    if twice:
        raise Problem("parameter_invalid", f"{twice[0]} is there twice.", parameter=twice[0])
    return found


def documented(model: type[Parameters]) -> dict[str, Any]:
    """The same as OpenAPI's `parameters`, for `openapi_extra` of a route."""
    schema = model.model_json_schema()
    required = schema.get("required", [])
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": member}
            for name, member in schema.get("properties", {}).items()
        ]
    }


def make_cursor(place: Sequence[Step], *bound_to: object) -> str:
    """An opaque cursor behind `place`, good only for the same `bound_to`.

    `bound_to` names the list: the tenant, its path, its filters and order, but not the limit.
    """
    return urlsafe_b64encode(msgspec.json.encode([_bound(bound_to), *place])).decode().rstrip("=")


def read_cursor(cursor: str, shape: type[S], *bound_to: object) -> S:
    """`make_cursor` back, as `shape` (such as `tuple[str, int]`).

    400 `cursor_mismatch` for another list's, `parameter_invalid` for what no list gave out.
    """
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        bound, *place = msgspec.json.decode(urlsafe_b64decode(padded), type=list[Step])
        if bound == _bound(bound_to):
            return msgspec.convert(place, shape)
    except (ValueError, msgspec.MsgspecError) as error:
        raise Problem("parameter_invalid", "cursor is none of ours.", parameter="cursor") from error
    raise Problem("cursor_mismatch", "Send a cursor with the parameters that it came from.")


def _bound(to: tuple[object, ...]) -> str:
    return sha256(msgspec.json.encode(to)).hexdigest()[:16]
