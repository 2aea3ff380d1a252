"""The HTTP side of the program: accounts, settings, and the history of both (API.md, Program)."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import HTTPBearer
from starlette.responses import Response

from services.program.answers import (
    Answer,
    answer_in,
    as_entity,
    as_json,
    change_answer,
    entity_answer,
)
from services.program.archiving import Archiving
from services.program.changes import Changes
from services.program.description import (
    AccountAnswer,
    AccountsAnswer,
    HistoryAnswer,
    SettingsAnswer,
    gives,
    takes,
)
from services.program.domain import accounts, settings
from services.program.domain.revisions import Program
from services.program.listing import EntityList, page
from services.program.preconditions import Expected, expected
from services.program.repository import HistoryFilter, ProgramRepository
from services.program.totals import Totals
from shared.contracts.program import Account, Settings
from shared.runtime.http import (
    Credential,
    Credentials,
    Page,
    Parameters,
    Problem,
    documented,
    make_cursor,
    parameters,
    read_cursor,
)

NOT_BUILT = (
    "coupon-pools",
    "custom-events",
    "integrations",
    "lists",
    "rewards",
    "segments",
    "tiers",
    "webhooks",
    "workflows",
)
Expects = Annotated[Expected, Depends(expected)]


class History(Page):
    """The history's parameters: of one kind, of one entity; newest first unless told."""

    sort: Literal["version", "-version"] = "-version"
    kind: Literal["accounts", "settings"] | None = None
    id: str | None = None


def program_routes(
    repository: ProgramRepository, credentials: Credentials, totals: Totals
) -> APIRouter:
    """Everything under `/v1/program`."""
    bearer = HTTPBearer(auto_error=False, description="A key of `LAUREL_KEYS`")
    router = APIRouter(prefix="/v1/program", dependencies=[Security(bearer)])
    _add_account_reads(router, repository, credentials)
    _add_account_writes(router, Changes(repository), credentials)
    _add_archive(router, Archiving(repository, totals), credentials)
    _add_settings(router, repository, credentials)
    _add_history(router, repository, credentials)
    _add_kinds_not_built(router, credentials)
    return router


def _add_account_reads(
    router: APIRouter, repository: ProgramRepository, credentials: Credentials
) -> None:
    reader = Depends(credentials.reader)

    @router.get(
        "/accounts",
        tags=["accounts"],
        responses=gives(AccountsAnswer, 200),
        openapi_extra=documented(EntityList),
    )
    async def list_accounts(request: Request, by: Annotated[Credential, reader]) -> Response:
        """The accounts; archived ones only with `?status=archived`."""
        query = parameters(request, EntityList)
        found = await repository.entities(by.tenant, accounts.KIND)
        shown, cursor, total = page(found, query, by.tenant, accounts.KIND)
        return _list(map(entity_answer, shown), cursor, total if query.count else None)

    @router.get(
        "/accounts/{account:segment}", tags=["accounts"], responses=gives(AccountAnswer, 200)
    )
    async def get_account(
        request: Request, account: str, by: Annotated[Credential, reader]
    ) -> Response:
        """One account, archived ones too."""
        parameters(request, Parameters)
        found = await repository.entity(by.tenant, accounts.KIND, account)
        if found is None:
            raise Problem("not_found", f"There is no account {account}.")
        return as_entity(entity_answer(found))


def _add_account_writes(router: APIRouter, changes: Changes, credentials: Credentials) -> None:
    writer = Depends(credentials.writer)

    @router.put(
        "/accounts/{account:segment}",
        tags=["accounts"],
        responses=gives(AccountAnswer, 200, 201),
        openapi_extra=takes(Account),
    )
    async def put_account(
        request: Request, account: str, by: Annotated[Credential, writer], expects: Expects
    ) -> Response:
        """Create an inactive account (201) or replace what it says; its status stays."""
        return await changes.put(
            request,
            by,
            (accounts.KIND, account),
            expects,
            lambda document, program: accounts.put_account(account, document, program),
        )

    def step_of(step: accounts.Step) -> Callable[..., Awaitable[Response]]:
        async def change_status(
            request: Request, account: str, by: Annotated[Credential, writer], expects: Expects
        ) -> Response:
            parameters(request, Parameters)
            return await changes.apply(
                by,
                (accounts.KIND, account),
                expects,
                lambda program: accounts.change_status(step, account, program),
            )

        return change_status

    for step in get_args(accounts.Reversible):
        router.add_api_route(
            f"/accounts/{{account:segment}}/{step}",
            step_of(step),
            methods=["POST"],
            name=f"{step}_account",
            tags=["accounts"],
            responses=gives(AccountAnswer, 200),
        )


def _add_archive(router: APIRouter, archiving: Archiving, credentials: Credentials) -> None:
    writer = Depends(credentials.writer)

    @router.post(
        "/accounts/{account:segment}/archive",
        tags=["accounts"],
        responses=gives(AccountAnswer, 200),
    )
    async def archive_account(
        request: Request, account: str, by: Annotated[Credential, writer], expects: Expects
    ) -> Response:
        """Put an inactive account away, for ever; not while customers have anything on it."""
        parameters(request, Parameters)
        headers = dict(request.scope["headers"])
        return await archiving.archive(by, account, expects, headers[b"authorization"])


def _add_settings(
    router: APIRouter, repository: ProgramRepository, credentials: Credentials
) -> None:
    reader, writer = Depends(credentials.reader), Depends(credentials.writer)
    place, changes = (settings.KIND, settings.ID), Changes(repository)

    @router.get("/settings", tags=["settings"], responses=gives(SettingsAnswer, 200))
    async def get_settings(request: Request, by: Annotated[Credential, reader]) -> Response:
        """The settings in force; version 0 while they are only defaults."""
        parameters(request, Parameters)
        found = await repository.entity(by.tenant, *place)
        return as_entity(answer_in(Program(0, {place: found} if found else {}), *place))

    @router.put(
        "/settings",
        tags=["settings"],
        responses=gives(SettingsAnswer, 200),
        openapi_extra=takes(Settings),
    )
    async def put_settings(
        request: Request, by: Annotated[Credential, writer], expects: Expects
    ) -> Response:
        """Replace the settings; what is left out takes its default."""
        return await changes.put(request, by, place, expects, settings.put_settings)


def _add_history(
    router: APIRouter, repository: ProgramRepository, credentials: Credentials
) -> None:
    reader = Depends(credentials.reader)

    @router.get(
        "/versions",
        tags=["versions"],
        responses=gives(HistoryAnswer, 200),
        openapi_extra=documented(History),
    )
    async def list_versions(request: Request, by: Annotated[Credential, reader]) -> Response:
        """Every change: who, when, what it was before and after."""
        query = parameters(request, History)
        only = HistoryFilter(query.kind, query.id)
        bound_to = (by.tenant, "versions", query.sort, query.kind, query.id)
        after = read_cursor(query.cursor, tuple[int], *bound_to)[0] if query.cursor else None
        newest_first = query.sort == "-version"
        found = await repository.history(
            by.tenant, only, limit=query.limit + 1, after=after, newest_first=newest_first
        )
        shown = found[: query.limit]
        more = len(found) > len(shown)
        cursor = make_cursor([shown[-1]["version"]], *bound_to) if more else None
        total = await repository.history_count(by.tenant, only) if query.count else None
        return _list(map(change_answer, shown), cursor, total)


def _list(items: Iterable[Answer], cursor: str | None, total: int | None) -> Response:
    counted = {} if total is None else {"total": total}
    return as_json({"items": list(items), "next_cursor": cursor, **counted})


def _add_kinds_not_built(router: APIRouter, credentials: Credentials) -> None:
    """Kinds of API.md that do not exist yet say so, instead of looking like a misspelt path."""

    def refusal_of(kind: str) -> Callable[..., Awaitable[Response]]:
        async def refuse(_: Annotated[Credential, Depends(credentials.reader)]) -> Response:
            raise Problem("not_found", f"{kind} is not built yet.")

        return refuse

    methods = ["GET", "PUT", "POST", "DELETE", "PATCH"]
    for kind in NOT_BUILT:
        for path in (f"/{kind}", f"/{kind}/{{rest:path}}"):
            router.add_api_route(path, refusal_of(kind), methods=methods, include_in_schema=False)
