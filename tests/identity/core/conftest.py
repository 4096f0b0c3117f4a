"""A core per test, over a copy of one settled database of each engine."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from harness.postgres import Postgres

from .world import Core, copied, in_folder, opened, settle


@pytest.fixture(scope="session")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated once: it takes longer than most tests."""
    folder = tmp_path_factory.mktemp("settled")
    asyncio.run(settle(in_folder(folder)))
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
async def settled_url(request: pytest.FixtureRequest, settled: Path, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield copied(settled, tmp_path / "settled")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        async with server.database("settled", settle) as url:
            yield url


@pytest.fixture
async def core(settled_url: str) -> AsyncIterator[Core]:
    """Without limits: what is tested is what holds without them."""
    async with opened(settled_url) as found:
        yield found


@pytest.fixture
async def limited(settled_url: str) -> AsyncIterator[Core]:
    """With the limits of the gateway."""
    async with opened(settled_url, limited=True) as found:
        yield found
