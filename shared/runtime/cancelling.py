"""Cancelling: a task that was cancelled while PyMongo was waiting may not hear of it."""

import asyncio


def check() -> None:
    """Raises `CancelledError` in a task whose cancellation was swallowed; for loops that await the
    database.

    Before Python 3.12 `asyncio.wait_for`, which PyMongo waits with, returns its result instead
    of raising where both come at once. An `asyncio.timeout` around a loop then never ends it.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
