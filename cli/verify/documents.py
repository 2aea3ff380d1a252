"""Documents as the auditor reads them: naive UTC instants, and how those look on the wire."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from bson.codec_options import CodecOptions

from shared.runtime.ports import Document

PLAIN: CodecOptions[Document] = CodecOptions(tz_aware=False)
"""Instants without a zone are read in half the time, and all that are stored are UTC."""
INSTANTS_KEPT_MAX = 4_096
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)
"""What a document raises that lacks a member, or has one of another kind: a difference too."""


@lru_cache(INSTANTS_KEPT_MAX)
def instant(moment: datetime) -> str:
    """As messages and the chain of hashes say it: `Z`, milliseconds only where there are some."""
    return moment.isoformat(timespec="milliseconds").replace(".000", "") + "Z"


def texts(value: object) -> object:
    """A stored value as JSON says it."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, Mapping):
        return {name: texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [texts(item) for item in value]
    return value


def customer_of(document: Mapping[str, object]) -> str:
    """`tenant/customer` of an event or a decision; of a tick nothing."""
    return f"{document['tenant']}/{document['customer']}" if document["customer"] else ""


def unlike(found: Mapping[str, object], expected: Mapping[str, object]) -> str:
    """What differs of the expected members, as a sentence; empty: nothing."""
    if expected.items() <= found.items():
        return ""
    wrong = [
        f"{name} is {_said(found.get(name))}, not {_said(value)}"
        for name, value in expected.items()
        if found.get(name) != value
    ]
    return ", ".join(wrong)


def _said(value: object) -> str:
    if isinstance(value, datetime):
        return instant(value)
    return value.hex() if isinstance(value, bytes) else repr(value)
