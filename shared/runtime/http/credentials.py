"""Who calls: keys from the settings, held only as SHA-256, each with its tenant and role."""

import re
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Literal, Self, cast, get_args

from starlette.requests import Request

from shared.runtime.http.problems import Problem
from shared.runtime.settings import SettingsError

Role = Literal["admin", "read"]
_TENANT = re.compile(r"[a-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Credential:
    """`name`, `key:` and 8 digits of the key's hash, tells keys apart without revealing them."""

    tenant: str
    role: Role
    name: str


class Credentials:
    """The table of keys; immutable, made at start."""

    __slots__ = ("_table",)

    def __init__(self, table: dict[bytes, Credential]) -> None:
        self._table = tuple(table.items())

    @classmethod
    def parse(cls, text: str) -> Self:
        """`key:tenant:role,…` → the table. Raises `SettingsError`, which never shows a key."""
        table: dict[bytes, Credential] = {}
        for number, entry in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
            digest, credential = _entry(entry, f"LAUREL_KEYS, entry {number}")
            if digest in table:
                raise SettingsError(f"LAUREL_KEYS, entry {number}: this key is there already")
            table[digest] = credential
        if not table:
            raise SettingsError("LAUREL_KEYS is empty: nobody could call this service")
        return cls(table)

    def reader(self, request: Request) -> Credential:
        """Whose request it is; 401 `unauthorized` without a valid `Authorization: Bearer`."""
        scheme, _, key = _authorization(request).partition(b" ")
        digest = sha256(key.strip()).digest()
        found = [credential for known, credential in self._table if compare_digest(known, digest)]
        if scheme.lower() != b"bearer" or not found:
            raise Problem(
                "unauthorized",
                "Send a valid key as `Authorization: Bearer <key>`.",
                headers={"www-authenticate": "Bearer"},
            )
        return found[0]

    def writer(self, request: Request) -> Credential:
        """As `reader`, and 403 `forbidden` for a key that may only read."""
        credential = self.reader(request)
        if credential.role == "read":
            raise Problem("forbidden", "This key may only read.")
        return credential


def _authorization(request: Request) -> bytes:
    """The one header; two of them are as good as none: which would a proxy have checked?"""
    sent = [value for name, value in request.scope["headers"] if name == b"authorization"]
    return cast("bytes", sent[0]) if len(sent) == 1 else b""


def _entry(entry: str, where: str) -> tuple[bytes, Credential]:
    parts = entry.rsplit(":", 2)
    if len(parts) != 3 or not parts[0]:
        raise SettingsError(f"{where}: is not key:tenant:role")
    key, tenant, role = parts
    if not _TENANT.fullmatch(tenant):
        raise SettingsError(f"{where}: tenant {tenant!r} is not 1 to 64 of a-z, 0-9, _ and -")
    if role not in get_args(Role):
        raise SettingsError(f"{where}: role {role!r} is none of {', '.join(get_args(Role))}")
    digest = sha256(key.encode())
    name = f"key:{digest.hexdigest()[:8]}"
    return digest.digest(), Credential(tenant, cast("Role", role), name)
