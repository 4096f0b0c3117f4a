"""Every store that there is, opened empty: a test that takes `world` is part of the conformance suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from harness.postgres import Postgres

from gateway.clock import Clock
from gateway.store.schema import migrate
from gateway.store.sql import Store, open_store

from .trail import Book
from .world import MASTER_KEY, Hand, World

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(params=ENGINES)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Of a database with the newest tables and nothing in them."""
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path}/gateway.db"
        await migrate(address)
        yield address
    else:
        server: Postgres = request.getfixturevalue("postgres")
        async with server.database("migrated", migrate) as address:
            yield address


@pytest.fixture
async def world(url: str) -> AsyncIterator[World]:
    hand = Hand()
    clock = Clock(now=hand.now)
    store = await open_store(url, MASTER_KEY, clock)
    found = World(url, store, hand, clock)
    await found.keys.ensure("EdDSA")
    yield found
    await store.aclose()


@pytest.fixture
async def gateways(world: World) -> AsyncIterator[list[Store]]:
    """Three doors to the store."""
    found = [await open_store(world.url, MASTER_KEY, world.clock) for _ in range(3)]
    yield found
    for store in found:
        await store.aclose()


@pytest.fixture
async def book(world: World) -> Book:
    """Ten sealed rows, of which the fresh world wrote three."""
    found = Book(world)
    await found.write(7)
    await found.seal()
    return found
