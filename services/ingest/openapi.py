"""The gateway's description (OpenAPI 3.1); the shapes come from the contract's own Structs."""

from collections.abc import Mapping
from typing import Any


def description() -> Mapping[str, Any]:
    return {"openapi": "3.1.0"}
