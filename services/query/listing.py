"""One request for a page of a list: where it begins, how it is answered."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from msgspec import Meta

from services.query.answers import Answer, Listed
from services.query.asking import Listing
from shared.runtime.http import make_cursor, read_cursor

Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What MongoDB can compare with: a forged cursor must not become an error of ours."""

PLACE = frozenset({"limit", "cursor", "count", "after"})
"""Parameters that may differ from page to page; to all others a cursor is bound."""

Row = TypeVar("Row", bound=Answer)
Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True)
class List:
    """Whose list, which one, and what was asked of it."""

    tenant: str
    path: str
    asked: Listing

    def place(self, shape: type[Shape]) -> Shape | None:
        """Where the page before ended; `None` at the start. 400 for a cursor of another list."""
        if self.asked.cursor is None:
            return None
        return read_cursor(self.asked.cursor, shape, *self._bound())

    def page(
        self, rows: list[Row], last: Sequence[str | int] | None, total: int | None
    ) -> Listed[Row]:
        """The answer. `last`: the place of the last row, where more follow."""
        cursor = make_cursor(last, *self._bound()) if last is not None else None
        if total is None:
            return Listed(items=rows, next_cursor=cursor)
        return Listed(items=rows, next_cursor=cursor, total=total)

    async def total(self, count: Callable[[], Awaitable[int]]) -> int | None:
        """How many there are in all, where the client asked."""
        return await count() if self.asked.count else None

    def _bound(self) -> tuple[object, ...]:
        filters = self.asked.model_dump(exclude=set(PLACE), exclude_none=True)
        return self.tenant, self.path, filters
