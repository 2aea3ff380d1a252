"""One real run for all tests of verify: it takes half a minute."""

from collections.abc import Iterator

import pytest

from deploy.local.servers import Servers
from tests.namespaces import namespace_on
from tests.verify.run import Run, real_run


@pytest.fixture(scope="module")
def made(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A database with everything in it that verify looks at, made by the real services."""
    with namespace_on(servers) as settings:
        yield real_run(settings, tmp_path_factory.mktemp("verify"))
