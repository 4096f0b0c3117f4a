"""What the tests of PostgreSQL do to its server, and ask it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harness.postgres import Postgres

from gateway.store.postgres.address import parse
from gateway.store.sql import Store


@asynccontextmanager
async def locked(server: Postgres, url: str, table: str = "grant_") -> AsyncIterator[None]:
    """Nobody else can read the table."""
    connection = await server.connect(parse(url).database)
    try:
        await connection.execute("BEGIN")
        await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        await connection.execute("ROLLBACK")
    finally:
        await connection.close()


async def sessions(server: Postgres, url: str) -> int:
    """How many the gateway has."""
    connection = await server.connect()
    try:
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gateway' AND datname = $1"
        return int(await connection.fetchval(count, parse(url).database))
    finally:
        await connection.close()


async def touch(store: Store) -> None:
    """A write."""
    await store.accounts.guessed("nobody", True)
