"""What the paths of transactions read: accepted checkouts; the decision is the record (TRX-01)."""

from collections.abc import Sequence

from services.query import across, paging, streams, views
from services.query.answers import Listed, TransactionRow
from services.query.asking import AllTransactionsAsked, TransactionsAsked
from services.query.listing import List, Number
from services.query.repository import Repository
from shared.contracts.partitions import partition_of
from shared.runtime.ports import Document


class Transactions:
    """Reads of transactions, of one customer or of a whole tenant."""

    def __init__(self, repository: Repository, partitions: int) -> None:
        self._repository = repository
        self._partitions = partitions
        self._decisions = repository.decisions("points")

    async def of_customer(
        self, tenant: str, id_: str, asked: TransactionsAsked
    ) -> Listed[TransactionRow]:
        """`GET /v1/customers/{id}/transactions`: those of the present generation."""
        list_ = List(tenant, f"customers/{id_}/transactions", asked)
        sort = paging.Sort.parse(asked.sort)
        place = list_.place(tuple[Number, Number, Number])
        known = await self._repository.known(tenant, id_)
        if not possible(asked) or asked.customer not in (None, id_):
            return list_.page([], None, await list_.total(_none))
        match = {**known.accepted, **transactions_asked(asked)}
        found = await paging.page([self._decisions], match, sort, place, asked.limit + 1)
        total = await list_.total(lambda: paging.count([self._decisions], match))
        shown = found[: asked.limit]
        rows = await self._rows(tenant, [each.document for each in shown])
        return list_.page(rows, shown[-1].place if len(found) > len(shown) else None, total)

    async def of_tenant(self, tenant: str, asked: AllTransactionsAsked) -> Listed[TransactionRow]:
        """`GET /v1/transactions`: newest first over all customers, or oldest first."""
        list_ = List(tenant, "transactions", asked)
        partitions, match = await self._where(tenant, asked)
        bounds = list_.place(list[Number]) or ()
        if not possible(asked) or match is None or len(bounds) not in (0, len(partitions)):
            return list_.page([], None, await list_.total(_none))
        sort = paging.Sort.parse(asked.sort)
        page = await across.page(self._decisions, match, partitions, sort, bounds, asked.limit)
        total = await list_.total(lambda: paging.count([self._decisions], match))
        rows = await self._rows(tenant, page.decisions)
        return list_.page(rows, page.bounds if page.more else None, total)

    async def _where(
        self, tenant: str, asked: AllTransactionsAsked
    ) -> tuple[Sequence[int], Document | None]:
        """Partitions and filter; no filter for a customer that nobody knows."""
        match: Document | None
        if asked.customer is None:
            match = {"tenant": tenant, "outcome": "accepted", **transactions_asked(asked)}
            return range(self._partitions), match
        partition = partition_of(f"{tenant}/{asked.customer}".encode(), self._partitions)
        known = await self._repository.customer(tenant, asked.customer)
        match = {**known.accepted, **transactions_asked(asked)} if known else None
        return [partition], match

    async def _rows(self, tenant: str, decisions: Sequence[Document]) -> list[TransactionRow]:
        stored = await self._repository.stored(tenant, decisions)
        since = await self._repository.since(tenant, {each["customer"] for each in decisions})
        return [
            views.transaction_row(
                each,
                stored.get(each["event"], streams.NOT_STORED).data,
                forgotten=each["_id"] < since.get(each["customer"], 0),
            )
            for each in decisions
        ]


def transactions_asked(asked: TransactionsAsked) -> Document:
    """The filter over decisions: only those that made a transaction (a repeat made none)."""
    match: Document = {"transaction": {"$exists": True}}
    if asked.transaction_id is not None:
        match["transaction.id"] = asked.transaction_id
    if asked.account is not None:
        match["transaction.account"] = asked.account
    return match


def possible(asked: TransactionsAsked) -> bool:
    """Whether a transaction can be like that: without a pending step all are accepted (TRX-07)."""
    return asked.status in (None, "accepted")


async def _none() -> int:
    return 0
