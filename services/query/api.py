"""The HTTP side of query: every path reads, for any valid key, in the key's tenant (API.md)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Security
from fastapi.security import HTTPBearer
from starlette.responses import Response

from services.query import waiting
from services.query.again import ReadAgain
from services.query.answers import (
    AccountTotals,
    Customer,
    CustomerRow,
    EventAnswer,
    EventRow,
    HistoryRow,
    Listed,
    TransactionRow,
)
from services.query.asking import (
    AllTransactionsAsked,
    CustomersAsked,
    EventsAsked,
    HistoryAsked,
    Listing,
    Reads,
    TransactionsAsked,
)
from services.query.reading import Reading
from services.query.totals import Totals
from services.query.transactions import Transactions
from shared.runtime.deciding import encode
from shared.runtime.http import Credentials, Parameters, Problem, documented, parameters

NOT_BUILT = ("tiers", "coupons", "passes", "workflow-runs", "sync-requests")
"""Lists of API.md that nobody keeps yet: an empty one would say that there is nothing."""

Asked = TypeVar("Asked", bound=Reads | Listing)


@dataclass(frozen=True, slots=True)
class Service:
    """What the paths need: who may read, what is read, and the wait for a position."""

    credentials: Credentials
    reading: Reading
    transactions: Transactions
    totals: Totals
    partitions: int
    databases: waiting.Databases

    async def asked(
        self, request: Request, model: type[Asked], *, cards: bool = False
    ) -> tuple[str, Asked]:
        """Tenant and parameters, once the services that the path reads have passed `after`."""
        tenant = self.credentials.reader(request).tenant
        found = parameters(request, model)
        if found.after is not None:
            position = waiting.parse(found.after, self.partitions)
            await waiting.passed(position, self.databases, cards=cards)
        return tenant, found


def query_routes(service: Service) -> APIRouter:
    """Everything under `/v1`."""
    bearer = HTTPBearer(auto_error=False, description="A key of `LAUREL_KEYS`")
    router = APIRouter(prefix="/v1", dependencies=[Security(bearer)], route_class=ReadAgain)
    _event_route(router, service)
    _customer_routes(router, service)
    _stream_routes(router, service)
    _transaction_routes(router, service)
    _account_route(router, service)
    _routes_not_built(router, service)
    return router


def _event_route(router: APIRouter, service: Service) -> None:
    @router.get("/events/{event:segment}", **_of(Reads, "events", responses={200: _EVENT}))
    async def get_event(request: Request, event: str) -> Response:
        """What became of an event: its outcome, its refusal, or `queued`."""
        tenant, _ = await service.asked(request, Reads)
        answer = await service.reading.event(tenant, event)
        return Response(encode(answer), media_type="application/json")  # as the gateway spells it


def _customer_routes(router: APIRouter, service: Service) -> None:
    @router.get("/customers", **_of(CustomersAsked, "customers"))
    async def list_customers(request: Request) -> Listed[CustomerRow]:
        """Customers with their totals over all accounts."""
        return await service.reading.customers(
            *await service.asked(request, CustomersAsked, cards=True)
        )

    @router.get("/customers/{customer:segment}", **_of(Reads, "customers"))
    async def get_customer(request: Request, customer: str) -> Customer:
        """One customer with every account."""
        tenant, _ = await service.asked(request, Reads)
        return await service.reading.customer(tenant, customer)


def _stream_routes(router: APIRouter, service: Service) -> None:
    @router.get("/customers/{customer:segment}/events", **_of(EventsAsked, "customers"))
    async def list_events(request: Request, customer: str) -> Listed[EventRow]:
        """The customer's accepted events."""
        tenant, asked = await service.asked(request, EventsAsked)
        return await service.reading.events(tenant, customer, asked)

    @router.get("/customers/{customer:segment}/points-history", **_of(HistoryAsked, "customers"))
    async def list_points_history(request: Request, customer: str) -> Listed[HistoryRow]:
        """What changed the customer's balances for good."""
        tenant, asked = await service.asked(request, HistoryAsked)
        return await service.reading.history(tenant, customer, asked)


def _transaction_routes(router: APIRouter, service: Service) -> None:
    @router.get(
        "/customers/{customer:segment}/transactions", **_of(TransactionsAsked, "transactions")
    )
    async def list_transactions(request: Request, customer: str) -> Listed[TransactionRow]:
        """The customer's transactions."""
        tenant, asked = await service.asked(request, TransactionsAsked)
        return await service.transactions.of_customer(tenant, customer, asked)

    @router.get("/transactions", **_of(AllTransactionsAsked, "transactions"))
    async def list_all_transactions(request: Request) -> Listed[TransactionRow]:
        """Transactions of all customers."""
        tenant, asked = await service.asked(request, AllTransactionsAsked)
        return await service.transactions.of_tenant(tenant, asked)


def _account_route(router: APIRouter, service: Service) -> None:
    @router.get("/accounts/{account:segment}/totals", **_of(Parameters, "accounts"))
    async def get_account_totals(request: Request, account: str) -> AccountTotals:
        """An account over all customers, with every event that was taken before the question."""
        tenant = service.credentials.reader(request).tenant
        parameters(request, Parameters)
        return await service.totals.of(tenant, account)


def _routes_not_built(router: APIRouter, service: Service) -> None:
    def route_for(name: str) -> Callable[[Request], Awaitable[Response]]:
        async def refuse(request: Request) -> Response:
            service.credentials.reader(request)
            raise Problem("not_found", f"{name} is not built yet.")

        return refuse

    for name in NOT_BUILT:
        path = f"/customers/{{customer:segment}}/{name}"
        router.add_api_route(path, route_for(name), include_in_schema=False)


_EVENT = {"model": EventAnswer}


def _of(model: type[Parameters], tag: str, **more: Any) -> dict[str, Any]:
    """What every route is described with; members that are not there (`total`) are not sent."""
    about = {"tags": [tag], "openapi_extra": documented(model)}
    return {**about, "response_model_exclude_unset": True, **more}
