"""Writes the contracts that others read: `python -m deploy.contracts`, or `make contracts`.

OpenAPI of the three HTTP services, AsyncAPI of the topics, JSON Schemas of the messages.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from pydantic import SecretStr

from services.ingest import openapi as gateway
from services.program import app as program
from services.program.description import described as described_program
from services.query import app as query
from shared.contracts import asyncapi, export
from shared.runtime.settings import Settings

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "contracts"


def documents() -> dict[str, bytes]:
    """Every document by its file's name, as it is committed."""
    # Apps want a key; nothing is opened before they start.
    settings = Settings(keys=SecretStr("a-key:a-tenant:read"))
    return {
        "asyncapi.json": asyncapi.encoded(),
        "gateway.openapi.json": _written(gateway.description()),
        "program.openapi.json": _written(described_program(program.create_app(settings))),
        "query.openapi.json": _written(query.described(query.create_app(settings))),
    }


def write(folder: Path = FOLDER) -> None:
    """Writes them all, and the JSON Schemas beside the Structs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_bytes(text)
    export.export()


def _written(document: Mapping[str, object]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


if __name__ == "__main__":
    write()
