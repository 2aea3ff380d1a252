"""The projector's worlds: each of its promises is tested in both."""

from collections.abc import Iterator

import pytest

from tests.shared.worlds import MemoryWorld, ServerWorld, World


@pytest.fixture(params=["memory", "servers"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    servers = ServerWorld(request.getfixturevalue("settings"))
    yield servers
    servers.close()
