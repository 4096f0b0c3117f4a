"""Real sockets and raw bytes: see `harness`. The identity core without them: see `identity.core`, over SQLite alone but
where a test asks for every store.
"""

from pathlib import Path

import pytest
from conformance.conftest import desk, shared, table
from harness.fixtures import people, pytest_asyncio_loop_factories, site
from identity.core.conftest import core, limited, settled
from identity.core.world import copied

__all__ = [
    "core",
    "desk",
    "limited",
    "people",
    "pytest_asyncio_loop_factories",
    "settled",
    "shared",
    "site",
    "table",
]


@pytest.fixture
async def settled_url(settled: Path, tmp_path: Path) -> str:
    return copied(settled, tmp_path / "settled")
