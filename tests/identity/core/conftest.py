"""A core per test, over a copy of one settled database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .world import Core, opened, settle


@pytest.fixture(scope="session")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated once: it takes longer than most tests."""
    folder = tmp_path_factory.mktemp("settled")
    asyncio.run(settle(folder))
    return folder


@pytest.fixture
async def core(settled: Path, tmp_path: Path) -> AsyncIterator[Core]:
    """Without limits: what is tested is what holds without them."""
    async with opened(settled, tmp_path / "core") as found:
        yield found


@pytest.fixture
async def limited(settled: Path, tmp_path: Path) -> AsyncIterator[Core]:
    """With the limits of the gateway."""
    async with opened(settled, tmp_path / "limited", limited=True) as found:
        yield found
