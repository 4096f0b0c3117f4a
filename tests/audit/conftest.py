"""An office per test, over a copy of one settled database of each engine; gateways for the tests that need one."""

from collections.abc import AsyncIterator

import pytest
from harness.fixtures import people, pytest_asyncio_loop_factories, site
from identity.core.conftest import settled, settled_url

from .office import Office, opened

__all__ = ["people", "pytest_asyncio_loop_factories", "settled", "settled_url", "site"]


@pytest.fixture
async def office(settled_url: str) -> AsyncIterator[Office]:
    async with opened(settled_url) as found:
        yield found
