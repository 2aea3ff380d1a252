"""What makes two events the same: the id per tenant, and the content behind it."""

import hashlib
import hmac

KEY_BYTES = 16


def dedupe_key(tenant: str, event_id: str) -> bytes:
    """The `_id` of an event in the journal: the first 16 bytes of SHA-256(tenant, 0, id)."""
    return hashlib.sha256(f"{tenant}\0{event_id}".encode()).digest()[:KEY_BYTES]


def tenant_secret(secret: str, tenant: str) -> bytes:
    """The tenant's own key for content hashes, derived from the process's secret."""
    return hmac.digest(secret.encode(), tenant.encode(), "sha256")


def content_hash(key: bytes, canonical: bytes) -> str:
    """Says whether a repeated id carries the same content, without telling what it is: hex
    HMAC-SHA-256 over the event's canonical form (`services/ingest` builds it)."""
    return hmac.digest(key, canonical, "sha256").hex()


def closed_lot_key(customer: str, generation: int, event: str, n: int, account: str) -> str:
    """The `_id` under which points keeps what became of a lot; `customer` is `tenant/customer`.

    Ids may hold slashes, but no control character: the separator keeps any two lots apart.
    """
    return f"{customer}\x1f{generation}/{event}/{n}/{account}"
