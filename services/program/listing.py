"""Lists of entities: searched, filtered, ordered and cut into pages in memory.

A kind holds as many entities as people can make by hand, and they are read by hand too.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from services.program.domain.revisions import Revision
from shared.runtime.http import Page, make_cursor, read_cursor

Key = tuple[Any, str]
_NUMBERS = frozenset({"version", "created_at", "updated_at"})
"""Versions stand for instants: they grow with them and are never equal."""


class EntityList(Page):
    """`q` searches id and name only (ACC-16); archived entities are listed only when asked for."""

    q: Annotated[str, Field(max_length=200)] = ""
    status: Literal["active", "inactive", "archived"] | None = None
    sort: Literal[
        "id", "-id", "name", "-name", "status", "-status", "version", "-version",
        "created_at", "-created_at", "updated_at", "-updated_at",
    ] = "id"  # fmt: skip


def page(
    entities: Sequence[Revision], query: EntityList, *list_of: str
) -> tuple[list[Revision], str | None, int]:
    """The page, the cursor of the next one, and how many there are in all.

    `list_of` names the list (tenant and kind): a cursor is good for the same list, search, filter
    and order only. Raises `Problem` for another one.
    """
    bound_to = (*list_of, query.q, query.status, query.sort)
    found = [entity for entity in entities if _asked_for(entity, query)]
    field, descending = query.sort.removeprefix("-"), query.sort.startswith("-")
    keyed = [(_key(entity, field), entity) for entity in found]
    keyed.sort(key=_first, reverse=descending)
    if query.cursor:
        shape = tuple[int, str] if field in _NUMBERS else tuple[str, str]
        after = read_cursor(query.cursor, shape, *bound_to)
        keyed = [one for one in keyed if one[0] != after and (one[0] < after) == descending]
    shown = keyed[: query.limit]
    more = len(keyed) > len(shown)
    cursor = make_cursor(shown[-1][0], *bound_to) if more else None
    return [entity for _, entity in shown], cursor, len(found)


def _first(keyed: tuple[Key, Revision]) -> Key:
    return keyed[0]


def _asked_for(entity: Revision, query: EntityList) -> bool:
    if query.status is None and entity.status == "archived":
        return False
    if query.status is not None and entity.status != query.status:
        return False
    wanted = query.q.casefold()
    return wanted in entity.id.casefold() or wanted in entity.document["name"].casefold()


def _key(entity: Revision, field: str) -> Key:
    """What the list is ordered by; the id tells equal ones apart."""
    keys: dict[str, str | int] = {
        "id": entity.id,
        "name": entity.document["name"].casefold(),
        "status": entity.status,
        "version": entity.version,
        "created_at": entity.created_version,
        "updated_at": entity.version,
    }
    return keys[field], entity.id
