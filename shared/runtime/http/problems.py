"""Every error of an HTTP service as `application/problem+json` (RFC 9457)."""

import re
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import uuid4

import msgspec
import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.contracts.problems import problem

RETRY_AFTER_SECONDS = 1
"""What 429 and 503 advise where the one who refuses knows nothing better."""

_BY_STATUS = {
    400: "parameter_invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    422: "body_invalid",
    429: "rate_limited",
    503: "unavailable",
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_WORDS = {
    "extra_forbidden": "is no known member",
    "missing": "is required",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}
"""Our words where pydantic speaks of inputs and models, which a client has never heard of."""
_SUBJECT = re.compile(r"^(Input|Value|String|List|Dictionary|Decimal input) should ")

_log = structlog.get_logger()


class Problem(Exception):
    """An answer that is a problem: a code of `shared.contracts.problems` and what is added."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        super().__init__(code, detail)
        self.code, self.detail, self.headers, self.members = code, detail, headers, members

    def response(self) -> Response:
        """The answer; 429 and 503 always carry `Retry-After`."""
        return problem_response(problem(self.code, self.detail, **self.members), self.headers)


def problem_response(
    body: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> Response:
    """`body` as `problem()` makes it → the HTTP answer with its status."""
    status = cast("int", body["status"])
    known = dict(headers or {})
    if status in (429, 503):
        known.setdefault("retry-after", str(RETRY_AFTER_SECONDS))
    return Response(msgspec.json.encode(body), status, known, "application/problem+json")


def pointer(path: Sequence[object]) -> str:
    """`("items", 0, "a/b")` → `/items/0/a~1b` (RFC 6901); the whole body is `""`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def body_invalid(*errors: tuple[Sequence[object], str]) -> Problem:
    """422 for a body: each error is a path and what is wrong there."""
    listed = [{"pointer": pointer(path), "detail": detail} for path, detail in errors]
    first = listed[0]
    detail = f"{first['pointer'] or 'The body'} {first['detail']}."
    return Problem("body_invalid", detail, errors=listed)


def errors_of(error: ValidationError, at: Sequence[object] = ()) -> Problem:
    """What pydantic found in a body that lies at the path `at` → 422 with a pointer each."""
    return body_invalid(
        *(([*at, *_path(found["loc"])], _in_words(found)) for found in error.errors())
    )


def _path(found: Sequence[object]) -> Sequence[object]:
    """Pydantic adds `[key]` where the name of a member is wrong."""
    return found[:-1] if found and found[-1] == "[key]" else found


def _in_words(found: Mapping[str, Any]) -> str:
    words: str = _WORDS.get(found["type"]) or found["msg"].removeprefix("Value error, ")
    return _SUBJECT.sub("must ", words)


def parameter_problem(found: Mapping[str, Any], name: str) -> Problem:
    """One finding of pydantic about the parameter `name` → 400."""
    if found["type"] == "extra_forbidden":
        return Problem("parameter_unknown", f"There is no parameter {name}.", parameter=name)
    return Problem("parameter_invalid", f"{name} {_in_words(found)}.", parameter=name)


def handle_problems(app: Starlette, unavailable: tuple[type[Exception], ...] = ()) -> None:
    """Turns every error of `app` into a problem; exceptions in `unavailable` mean 503."""

    async def away(request: Request, error: Exception) -> Response:
        _log.warning("dependency_away", error=type(error).__name__)
        known = request.method in ("GET", "HEAD")
        doubt = "" if known else " Whether this was done is not known."
        return Problem("unavailable", f"What this needs does not answer.{doubt}").response()

    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _request_invalid)
    for kind in unavailable:
        app.add_exception_handler(kind, away)
    app.add_middleware(CatchAll)


async def _problem(_: Request, error: Exception) -> Response:
    return cast("Problem", error).response()


async def _http_exception(request: Request, error: Exception) -> Response:
    found = cast("HTTPException", error)
    code = _BY_STATUS.get(found.status_code, "internal")
    headers = dict(found.headers or {})
    if code == "method_not_allowed":
        headers = {"allow": ", ".join(_methods(request.app.routes, request.scope))}
    return Problem(code, headers=headers).response()


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    """All that the path takes: frameworks name only the methods of the first route that fits."""
    return [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]


async def _request_invalid(_: Request, error: Exception) -> Response:
    found = cast("RequestValidationError", error).errors()
    where, *path = found[0]["loc"]
    if where == "path":
        return Problem("not_found").response()
    if where != "body":
        return parameter_problem(found[0], str(path[0])).response()
    return body_invalid(*((_path(one["loc"][1:]), _in_words(one)) for one in found)).response()


class CatchAll:
    """Answers 500 for what nobody caught, and logs where it broke but never what was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  # the last one: a client must get an answer
            reference = _log_exception(scope, error)
            if not started:
                answer = Problem("internal", reference=reference).response()
                await answer(scope, receive, send)


def _log_exception(scope: Scope, error: BaseException) -> str:
    """Frames and types only: the text of an exception may hold what the client sent."""
    reference = uuid4().hex
    _log.error(
        "request_failed",
        reference=reference,
        method=scope["method"],
        route=getattr(scope.get("route"), "path", None),
        error=type(error).__name__,
        where=[
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)[-10:]
        ],
    )
    return reference
