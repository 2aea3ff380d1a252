"""The command's HTTP: where the services are, one credential, problems as sentences."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from cli.problems import CommandError
from deploy.local.stack import LOCAL_KEYS
from shared.runtime.settings import Settings

TIMEOUT_SECONDS = 40.0
"""The gateway waits up to 30 s for an outcome, the query service 5 s for a position."""


class ProblemError(CommandError):
    """A service answered with a problem; the text is what an operator needs."""

    def __init__(self, url: str, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", ""))
        detail = problem.get("detail") or problem.get("title") or "no reason given"
        super().__init__(f"{url} answered {status} {self.code}: {detail}")


class AwayError(CommandError):
    """Nothing answered at the address."""


def gateway_url(settings: Settings) -> str:
    """`http://127.0.0.1:8080`"""
    return f"http://{_reachable(settings.host)}:{settings.gateway_port}"


def program_url(settings: Settings) -> str:
    """`http://127.0.0.1:8081`"""
    return f"http://{_reachable(settings.host)}:{settings.program_port}"


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "", "::") else host


def default_key(settings: Settings) -> str:
    """The first key that may write, of those that the environment or the local stack lists."""
    entries = (settings.keys.get_secret_value() or LOCAL_KEYS).split(",")
    keys = [entry.strip().split(":") for entry in entries]
    admins = [key for key, *_, role in keys if role == "admin"]
    if not admins:
        raise CommandError("LAUREL_KEYS names no admin key: give one with --key.")
    return admins[0]


def segment(identifier: str) -> str:
    """An id as one segment of a path: `a/b` → `a%2Fb`."""
    return quote(identifier, safe="")


def problem_of(response: httpx2.Response) -> dict[str, Any]:
    """The problem in an answer; of something that is not ours, its first words."""
    try:
        body = response.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {"detail": response.text[:200]}


class Service:
    """One HTTP service with one credential; connections are kept."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_SECONDS, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, **parameters: str | int) -> Any:
        """The answer's JSON. Raises `ProblemError` and `AwayError`."""
        return self._ask("GET", path, params=parameters)

    def post(self, path: str, body: object = None, **headers: str) -> Any:
        """As `get`; header names with underscores for dashes."""
        return self._ask("POST", path, json=body, headers=_dashed(headers))

    def put(self, path: str, body: object, **headers: str) -> Any:
        """As `post`."""
        return self._ask("PUT", path, json=body, headers=_dashed(headers))

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        url = self.url + path
        try:
            response = self._http.request(method, url, **request)
        except httpx2.TransportError as error:
            why = str(error) or type(error).__name__
            raise AwayError(
                f"{url} does not answer ({why}); `./laurel status` says what runs."
            ) from error
        if response.is_error:
            raise ProblemError(url, response.status_code, problem_of(response))
        return response.json() if response.content else None


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
