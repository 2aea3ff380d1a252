"""Programs: the configuration of a tenant at a version, read from the revisions and kept."""

from collections import OrderedDict
from collections.abc import Mapping

from pymongo.database import Database

from shared.runtime.mongo import store_errors
from shared.runtime.ports import BrokenInvariant, Document

VERSIONS_KEPT_MAX = 256
"""Versions in memory, over all tenants; an event names the version it was stamped with."""

Entities = Mapping[str, Mapping[str, Document]]
"""`{kind: {id: {"status": …, "document": …}}}`"""


class Programs:
    """Versions never change, so what was read once is right for ever."""

    def __init__(self, database: Database[Document]) -> None:
        self._heads = database["heads"]
        self._revisions = database["revisions"]
        self._kept: OrderedDict[tuple[str, int], Entities] = OrderedDict()

    def at(self, tenant: str, version: int) -> Entities:
        """The latest revision at or below `version` of each entity; archived ones too.

        Raises `BrokenInvariant` for a version that the program does not have: an older program
        must never decide in its place.
        """
        kept = self._kept.get((tenant, version))
        if kept is None:
            kept = self._kept[tenant, version] = self._read(tenant, version)
            if len(self._kept) > VERSIONS_KEPT_MAX:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end((tenant, version))
        return kept

    def _read(self, tenant: str, version: int) -> Entities:
        entities: dict[str, dict[str, Document]] = {}
        wanted = {"tenant": tenant, "version": {"$lte": version}}
        with store_errors():
            head = self._heads.find_one({"_id": tenant})
            known = head["version"] if head else 0
            if version > known:
                raise BrokenInvariant(
                    f"an event of tenant {tenant} is to be decided by version {version} of its "
                    f"program, but the program's database ends at version {known}: it was restored "
                    "from an older copy, and changes are lost. `laurel recover journal` says which "
                    "tenants, and what to do"
                )
            revisions = list(self._revisions.find(wanted).sort("version", 1))
        for revision in revisions:
            entities.setdefault(revision["kind"], {})[revision["id"]] = {
                "status": revision["status"],
                "document": revision["document"],
            }
        return entities
