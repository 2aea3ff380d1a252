"""Again: a read that met a collection being replaced is done once more, on what took its place."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from pymongo.errors import OperationFailure
from starlette.responses import Response

from shared.runtime.mongo import REPLACED

TRIES = 3
"""A switch replaces four collections within some milliseconds: a read may meet two of them."""


class ReadAgain(APIRoute):
    """Of every path that reads: nothing is changed by it, so that it may be done twice. What is
    read from one collection is right before and after a switch, since both hold the same."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own, tried again where MongoDB says that the collection was replaced."""
        read = super().get_route_handler()

        async def read_again(request: Request) -> Response:
            for _ in range(TRIES - 1):
                try:
                    return await read(request)
                except OperationFailure as error:
                    if error.code not in REPLACED:
                        raise
            return await read(request)

        return read_again
