"""A change from request to answer: read, expected, decided, written, shown."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from services.program.answers import MODELS, answer_in, as_entity
from services.program.domain import settings
from services.program.domain.revisions import Decision, Document, Program, Refused
from services.program.preconditions import STAMPS, Expected
from services.program.repository import ProgramRepository
from shared.runtime.http import (
    Credential,
    Parameters,
    Problem,
    body_invalid,
    errors_of,
    parameters,
    read_json,
)

Place = tuple[str, str]
"""Kind and id."""
Decide = Callable[[Program], Decision]


class Changes:
    """What writes to the program do, whatever they change."""

    def __init__(self, repository: ProgramRepository) -> None:
        self._repository = repository

    async def put(
        self,
        request: Request,
        by: Credential,
        place: Place,
        expected: Expected,
        decide: Callable[[Document, Program], Decision],
    ) -> Response:
        """Replace the entity at `place` by the request's body."""
        parameters(request, Parameters)
        document, stamps = _document(await read_json(request), place[0])
        return await self.apply(
            by, place, expected.with_stamps(stamps), lambda program: decide(document, program)
        )

    async def apply(
        self, by: Credential, place: Place, expected: Expected, decide: Decide
    ) -> Response:
        """Where the entity is as `expected`, do what is decided; 201 where that made it."""

        def guarded(program: Program) -> Decision:
            return expected.missed(answer_in(program, *place)) or decide(program)

        found = await self._repository.change(by.tenant, by.name, datetime.now(UTC), guarded)
        if isinstance(found, Refused):
            raise _problem(found)
        before, after = found
        answer = answer_in(after, *place)
        if before.get(*place) or place[0] == settings.KIND:
            return as_entity(answer)
        return as_entity(answer, 201, location=f"/v1/program/{place[0]}/{place[1]}")


def _document(body: object, kind: str) -> tuple[Document, Mapping[str, object]]:
    """A body → the document as it is stored, all defaults filled in, and the stamps beside it."""
    if not isinstance(body, dict):
        raise body_invalid(((), "must be an object"))
    stamps = {name: body.pop(name) for name in STAMPS if name in body}
    try:
        model = MODELS[kind].model_validate(body)
    except ValidationError as error:
        raise errors_of(error) from error
    return model.model_dump(mode="json", exclude_none=True), stamps


def _problem(found: Refused) -> Problem:
    if found.pointer is None:
        return Problem(found.code, found.detail)
    return body_invalid((found.pointer.split("/")[1:], found.detail))
