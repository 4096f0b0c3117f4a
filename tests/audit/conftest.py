"""An office per test, over a copy of one settled database of each engine."""

from collections.abc import AsyncIterator

import pytest
from identity.core.conftest import settled, settled_url

from .office import Office, opened

__all__ = ["settled", "settled_url"]


@pytest.fixture
async def office(settled_url: str) -> AsyncIterator[Office]:
    async with opened(settled_url) as found:
        yield found
