"""A cancellation that is swallowed on the way still ends what was cancelled."""

import asyncio

import pytest

from services.query.waiting import until


async def deaf() -> bool:
    """As a driver that waits with Python 3.11's `wait_for`: returns, though it is cancelled."""
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        return False
    return False


def test_a_timeout_ends_a_loop_over_calls_that_swallow_it() -> None:
    async def late() -> None:
        async with asyncio.timeout(0.01):
            await until(deaf)

    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(late(), 10))
