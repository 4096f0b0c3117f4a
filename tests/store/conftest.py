"""Every store that there is, opened empty: a test that takes `world` is part of the conformance suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.clock import Clock
from gateway.store.schema import migrate
from gateway.store.sql import open_store

from .world import MASTER_KEY, Hand, World


@pytest.fixture(params=["sqlite"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    address = f"sqlite:///{tmp_path}/gateway.db"
    await migrate(address)
    return address


@pytest.fixture
async def world(url: str) -> AsyncIterator[World]:
    hand = Hand()
    clock = Clock(now=hand.now)
    store = await open_store(url, MASTER_KEY, clock)
    found = World(url, store, hand, clock)
    await found.keys.ensure("EdDSA")
    yield found
    await store.aclose()
