"""The OpenAPI documents: as the services serve them, valid, and whole."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from openapi_spec_validator import validate
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deploy.contracts import FOLDER
from services.ingest.gateway import build_gateway
from services.program.app import create_app as program_app
from services.query.app import create_app as query_app
from shared.contracts.problems import KINDS
from shared.runtime.http.description import operations
from shared.runtime.settings import Settings

SETTINGS = Settings(keys=SecretStr("a-key:a-tenant:read"))
APPS: Mapping[str, Callable[[Settings], Starlette]] = {
    "gateway": build_gateway,
    "program": program_app,
    "query": query_app,
}
EACH = pytest.mark.parametrize("name", APPS)


def committed(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.openapi.json").read_bytes())
    return document


@EACH
def test_what_is_committed_is_what_the_service_serves(name: str) -> None:
    # Not as a context manager: the description needs no server, so none is connected.
    served = TestClient(APPS[name](SETTINGS)).get("/openapi.json").json()
    assert served == committed(name), "run `make contracts`"


@EACH
def test_each_is_valid_openapi_3_1(name: str) -> None:
    assert committed(name)["openapi"].startswith("3.1.")
    validate(committed(name))


@EACH
def test_each_names_every_problem_code(name: str) -> None:
    assert committed(name)["components"]["schemas"]["Problem"]["properties"]["code"] == {
        "type": "string",
        "enum": sorted(KINDS),
    }


@EACH
def test_a_refusal_says_which_codes_come_with_its_status(name: str) -> None:
    answers = committed(name)["components"]["responses"]
    for path, method, operation in operations(committed(name)):
        for status, answer in operation["responses"].items():
            if status.startswith("2"):
                continue
            told = answers[answer["$ref"].rpartition("/")[2]]["description"]
            codes = [code for code, kind in KINDS.items() if kind.status == int(status)]
            assert codes, (path, method, status)
            assert all(f"`{code}`" in told for code in codes), (path, method, status)


@EACH
def test_every_operation_needs_a_key_and_says_what_it_answers_without(name: str) -> None:
    document = committed(name)
    for path, method, operation in operations(document):
        assert operation.get("security", document.get("security")), (path, method)
        assert "401" in operation["responses"], (path, method)


@EACH
def test_every_reference_leads_somewhere(name: str) -> None:
    document = committed(name)
    for reference in references(document):
        at: Any = document
        for step in reference.removeprefix("#/").split("/"):
            at = at[step.replace("~1", "/").replace("~0", "~")]


def references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for member in node.values() for found in references(member)]
    if isinstance(node, list):
        return [found for member in node for found in references(member)]
    return []
