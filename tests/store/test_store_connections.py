"""How many of a PostgreSQL server's connections a worker has, and which of its work has one to itself."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from harness.postgres import Postgres

from gateway.clock import Clock
from gateway.store.postgres import reader as reading
from gateway.store.postgres import writes
from gateway.store.postgres.address import parse
from gateway.store.postgres.reader import Reader
from gateway.store.schema import migrate
from gateway.store.sql import open_store

from .server import locked, sessions
from .world import MASTER_KEY, World, change

ROOT = Path(__file__).parents[2]
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
async def url(postgres: Postgres) -> AsyncIterator[str]:
    """In the place of every store's."""
    async with postgres.database("migrated", migrate) as address:
        yield address


async def none_is_left(postgres: Postgres, url: str) -> None:
    async with asyncio.timeout(20):
        while await sessions(postgres, url):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_reads_leave_no_connection_that_nobody_uses(
    postgres: Postgres, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a burst; the next read opens one again."""
    monkeypatch.setattr(reading, "IDLE", 0.1)
    reader = Reader(parse(url))
    await asyncio.gather(*(reader.rows("SELECT 1") for _ in range(20)))
    await none_is_left(postgres, url)
    assert await reader.rows("SELECT 1") == [(1,)]
    await reader.aclose()


async def test_writes_leave_no_connection_that_nobody_uses(
    postgres: Postgres, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a burst; the next writes open them again."""
    monkeypatch.setattr(writes, "UNUSED", 0.1, raising=False)
    database = writes.open_database(parse(url))

    async def write() -> None:
        async with database.writing() as connection:
            await connection.exec_driver_sql("SELECT 1")

    for _ in range(2):
        await asyncio.gather(*(write() for _ in range(8)))
        await none_is_left(postgres, url)
    await database.aclose()


@pytest.mark.parametrize("seconds", [0.0, 0.02])
async def test_a_connection_that_is_used_is_not_closed(
    url: str, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """However long the transaction is, and in whichever turn of the loop after its return it is taken again."""
    monkeypatch.setattr(writes, "UNUSED", seconds, raising=False)
    database = writes.open_database(parse(url))
    for turns in range(8):
        for _ in range(turns):
            await asyncio.sleep(0)
        async with database.writing() as connection:
            await connection.exec_driver_sql("SELECT pg_sleep(0.03)")
    await database.aclose()


@pytest.mark.usefixtures("patient")
async def test_a_thousand_cold_reads_do_not_delay_a_revocation(postgres: Postgres, world: World) -> None:
    """They fill the pool and its queue; the poll has a connection of its own, so that it is told while they wait."""
    await world.store.revocations.latest()
    connection = await postgres.connect(parse(world.url).database)
    async with locked(postgres, world.url):
        cold = [asyncio.create_task(world.store.directory.by_grant(f"g{n}")) for n in range(1000)]
        while await connection.fetchval(WAITING) < reading.CONNECTIONS:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        await world.store.revocations.since(0)
        told = [task.done() for task in cold]
        for task in cold:
            task.cancel()
        await asyncio.gather(*cold, return_exceptions=True)
        await connection.close()
    assert told == [False] * 1000


async def test_upkeep_takes_one_connection_at_a_time(postgres: Postgres, world: World) -> None:
    """Its works are due in the same moment, and each meets a lock."""
    await world.store.revocations.latest()
    before = await sessions(postgres, world.url)
    connection = await postgres.connect(parse(world.url).database)
    async with AsyncExitStack() as held:
        for table in ("revocation", "challenge", "grant_"):
            await held.enter_async_context(locked(postgres, world.url, table))
        works = asyncio.gather(
            world.store.revocations.prune(1.0), world.store.forget(1.0), world.store.touch({"a": 1.0})
        )
        async with asyncio.timeout(5):
            while not await connection.fetchval(WAITING):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        found = [await sessions(postgres, world.url) for _ in range(20)]
    await works
    await connection.close()
    assert max(found) == before + 1


async def test_of_several_workers_one_deletes(world: World) -> None:
    """As long as it is there; then another one does."""
    other = await open_store(world.url, MASTER_KEY, Clock())
    old = "INSERT INTO revocation (id, at, kind, subject) VALUES ({}, 1, 'all', '')"
    count = "SELECT count(*) FROM revocation WHERE at = 1"
    await world.store.revocations.prune(2.0)
    await change(world.url, old.format(1001))
    await other.revocations.prune(2.0)
    await other.forget(2.0)
    left = [(await world.rows(count))[0][0]]
    await world.store.revocations.prune(2.0)
    left.append((await world.rows(count))[0][0])
    await change(world.url, old.format(1002))
    await world.store.aclose()
    async with asyncio.timeout(20):
        while (await world.rows(count))[0][0]:  # the server takes a moment to see that a session has ended
            await other.revocations.prune(2.0)
    assert left == [1, 0]
    await other.aclose()


@pytest.mark.parametrize("document", ["README.md", "docs/deploy.md", "docs/scale.md"])
def test_documents_say_how_many_connections_a_worker_has(document: str) -> None:
    """Those that read, those that write, the poll's, and the one for upkeep."""
    assert reading.CONNECTIONS + writes.CONNECTIONS + 2 == 10
    text = " ".join((ROOT / document).read_text().split())
    assert re.search(r"ten connections at most|at most ten to PostgreSQL|Up to ten to PostgreSQL", text)
