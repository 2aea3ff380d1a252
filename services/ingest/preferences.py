"""`Prefer: wait=N` (RFC 7240): how long a client would wait for the outcome."""

import re
from collections.abc import Iterable

from shared.runtime.http import Problem

WAIT_SECONDS_MAX = 30

_WAIT = re.compile(r'\s*wait\s*(?:=\s*("?)([^";,]*)\1\s*)?(?:;.*)?', re.IGNORECASE)


def wait_seconds(headers: Iterable[str]) -> int:
    """0 where nobody asks to wait; other preferences are ignored, of two waits the first counts.

    400 `parameter_invalid` for anything but 1 to 30 whole seconds.
    """
    for header in headers:
        for preference in header.split(","):
            if found := _WAIT.fullmatch(preference):
                return _seconds(found.group(2) or "")
    return 0


def _seconds(text: str) -> int:
    text = text.strip()
    if (
        text.isascii()
        and text.isdecimal()
        and len(text) <= 2
        and 1 <= int(text) <= WAIT_SECONDS_MAX
    ):
        return int(text)
    raise Problem(
        "parameter_invalid",
        f"Prefer: wait takes 1 to {WAIT_SECONDS_MAX} whole seconds.",
        parameter="Prefer",
    )
