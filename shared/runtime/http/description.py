"""What our OpenAPI documents say alike: problems by status, parameters as they are read."""

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from shared.contracts.answers import codes_of, problem_schema

READ = (400, 401, 404, 500, 503)
"""The statuses of a refused read; a list has no 404."""
WRITE = (400, 401, 403, 404, 409, 412, 413, 422, 500, 503)

EXAMPLES = {"account": "main", "customer": "c-1001", "event": "till-7-000123"}
"""What paths are shown with: the ids of the first event in the README."""
_METHODS = frozenset({"get", "put", "post", "delete", "patch"})
_OURS = {"HTTPValidationError", "ValidationError"}
"""FastAPI's own errors, which no client ever gets."""
_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}},
    429: {"Retry-After": {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}},
    503: {"Retry-After": {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}},
}

Document = Mapping[str, Any]


def problem_answers(statuses: Iterable[int]) -> dict[str, Any]:
    """For an operation's `responses`: one reference for each status."""
    return {
        str(status): {"$ref": f"#/components/responses/{_name(status)}"}
        for status in sorted(statuses)
    }


def problem_components(statuses: Iterable[int]) -> dict[str, Any]:
    """What those references lead to: each status with its codes, and the problem's schema."""
    return {
        "responses": {_name(status): _answer(status) for status in sorted(set(statuses))},
        "schemas": {"Problem": problem_schema()},
    }


def finished(document: Document, reads: Iterable[int], writes: Iterable[int]) -> dict[str, Any]:
    """FastAPI's document with our problems instead of its own, and parameters that take no null.

    `reads`, `writes`: the statuses with which a GET and any other method is refused.
    """
    by_method = {True: frozenset(reads), False: frozenset(writes)}
    made = dict(document)
    made["paths"] = {
        path: {
            method: _operation(operation, by_method[method == "get"])
            if method in _METHODS
            else operation
            for method, operation in item.items()
        }
        for path, item in document["paths"].items()
    }
    components = dict(document["components"])
    problems = problem_components(by_method[True] | by_method[False])
    own = {name: schema for name, schema in components["schemas"].items() if name not in _OURS}
    made["components"] = {
        **components,
        "responses": problems["responses"],
        "schemas": dict(sorted({**own, **problems["schemas"]}.items())),
    }
    return made


def _operation(operation: Document, statuses: frozenset[int]) -> dict[str, Any]:
    parameters = [_parameter(one) for one in operation.get("parameters", ())]
    names_one = any(one["in"] == "path" for one in parameters)
    refused = statuses if names_one else statuses - {HTTPStatus.NOT_FOUND}
    answers = {
        status: answer
        for status, answer in operation["responses"].items()
        if status.startswith("2")
    }
    return {
        **operation,
        **({"parameters": parameters} if parameters else {}),
        "responses": {**answers, **problem_answers(refused)},
    }


def _parameter(parameter: Document) -> dict[str, Any]:
    """A query string and a header have no null: `anyOf [X, null]` is X, and it may be left out."""
    schema = dict(parameter["schema"])
    if "anyOf" in schema:
        kinds = [kind for kind in schema.pop("anyOf") if kind != {"type": "null"}]
        schema = {**schema, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})}
    schema.pop("title", None)
    if parameter["in"] != "path":
        return {**parameter, "schema": schema}
    example = EXAMPLES.get(parameter["name"])
    shown = {"example": example} if example else {}
    return {**parameter, **shown, "schema": {**schema, "minLength": 1}}


def _answer(status: int) -> dict[str, Any]:
    codes = "; ".join(f"`{code}`: {title}" for code, title in codes_of(status).items())
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    headers = {"headers": _HEADERS[status]} if status in _HEADERS else {}
    return {"description": codes, **headers, "content": content}


def _name(status: int) -> str:
    """`404` → `NotFound`."""
    return HTTPStatus(status).phrase.title().replace(" ", "")


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Path, method and description of each operation."""
    for path, item in document["paths"].items():
        for method in _METHODS & item.keys():
            yield path, method, item[method]
