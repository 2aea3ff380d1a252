"""Admission: whether a message of the inbox is one of ours, and may be numbered."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from shared.contracts import actions
from shared.contracts.events import Logged
from shared.contracts.identity import dedupe_key
from shared.contracts.partitions import partition_of

HOPS_MAX = 8
"""Consequences of consequences end here, visibly (DESIGN section 3)."""

_logged = msgspec.json.Decoder(Logged)
_data = {action: msgspec.json.Decoder(data) for action, data in actions.DATA.items()}


class NotOurs(Exception):
    """A message that the gateway cannot have made; the text says why. It goes to the dead topic."""


class Submission(msgspec.Struct, frozen=True, gc=False):
    """A message of the inbox, read: what the journal stores and stamps."""

    key: bytes
    id: str
    tenant: str
    customer: str
    action: str
    time: datetime | None
    content: str
    source: str
    cause: str
    hops: int
    reply_to: str
    body: str


def admit(key: bytes, value: bytes, headers: Mapping[str, str], at: tuple[int, int]) -> Submission:
    """Reads a message; `at` is (its partition, how many there are). Raises `NotOurs`.

    Everything is checked that a rule later relies on, since the log is for ever: headers, key and
    partition agree with the envelope, and the data fits its action.
    """
    try:
        logged = _logged.decode(value)
        _data[logged.action].decode(logged.data)
        submission = Submission(
            key=dedupe_key(headers["tenant"], logged.id),
            id=logged.id,
            tenant=headers["tenant"],
            customer=logged.customer,
            action=logged.action,
            time=None if isinstance(logged.time, msgspec.UnsetType) else logged.time,
            content=headers["content"],
            source=headers["ce_source"],
            cause=headers.get("cause", ""),
            hops=int(headers.get("hops", "0")),
            reply_to=headers.get("reply_to", ""),
            body=value.decode(),
        )
    except KeyError as error:
        raise NotOurs(f"header or action missing: {error}") from error
    except (ValueError, RecursionError) as error:  # decoding errors are ValueErrors
        raise NotOurs(f"unreadable: {error}") from error
    _agree(submission, key, headers, at)
    return submission


def _agree(
    submission: Submission, key: bytes, headers: Mapping[str, str], at: tuple[int, int]
) -> None:
    own = f"{submission.tenant}/{submission.customer}".encode()
    partition, partitions = at
    if key != own:
        raise NotOurs("the key is not tenant/customer of the envelope")
    if partition_of(key, partitions) != partition:
        raise NotOurs(f"partition {partition} is not where this customer lives")
    told = (headers.get("ce_id"), headers.get("ce_type"), headers.get("customer"))
    if told != (submission.id, submission.action, submission.customer):
        raise NotOurs("id, action or customer of the headers is not that of the envelope")
    if submission.hops > HOPS_MAX:
        raise NotOurs(f"a chain of more than {HOPS_MAX} consequences ends here")
