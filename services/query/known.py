"""A customer as customers and points keep it, and where the documents of its generation are."""

from dataclasses import dataclass

from services.query.lots import LotId
from shared.contracts.identity import closed_lot_key
from shared.contracts.lots import KeptLot, last_page
from shared.runtime.ports import Document


def of_tenant(tenant: str) -> Document:
    """The filter over `_id`s `tenant/…`; "0" follows "/", which no tenant's name holds."""
    return {"$gt": f"{tenant}/", "$lt": f"{tenant}0"}


@dataclass(frozen=True, slots=True)
class Known:
    """A customer that customers or points has heard of (one of the two may be behind)."""

    tenant: str
    id: str
    profile: Document | None
    state: Document | None

    @property
    def key(self) -> str:
        """The `_id` of its documents."""
        return f"{self.tenant}/{self.id}"

    @property
    def accepted(self) -> Document:
        """The filter over decisions: the accepted ones of the present generation."""
        return {
            "tenant": self.tenant,
            "customer": self.id,
            "_id": {"$gte": self.since},
            "outcome": "accepted",
        }

    @property
    def since(self) -> int:
        """The decision from which the present generation counts: an opt-out ends one (CUS-17)."""
        return max(int((known or {}).get("since", 0)) for known in (self.profile, self.state))

    def pages(self, account: str = "") -> Document:
        """The filter for the lot pages of the present generation, of one account if named.

        `_id` alone may say too much: a customer's id may hold slashes.
        """
        prefix = f"{self.key}/{(self.state or {}).get('generation', 0)}"
        wanted: Document = {"customer": self.key}
        if account:
            prefix, wanted["account"] = f"{prefix}/{account}", account
        return {"_id": {"$gt": f"{prefix}/", "$lt": f"{prefix}0"}, **wanted}  # "0" follows "/"

    def last_page(self, account: str) -> tuple[KeptLot, ...]:
        """The open lots of an account that are in no full page yet."""
        return last_page((self.state or {}).get("accounts", {}).get(account, {}))

    def closed(self, lot: LotId) -> str:
        """The `_id` of a lot that left its page."""
        generation = (self.state or {}).get("generation", 0)
        return closed_lot_key(self.key, generation, lot.event, lot.n, lot.account)
