"""What opening the store costs: neither SQLAlchemy nor Alembic, until something is changed. Nor Redis' client."""

import subprocess
import sys
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.store import schema
from gateway.store.engines import engine_of
from gateway.store.revision import NEWEST
from gateway.store.sql import open_store
from gateway.store.sqlite.file import database_path
from gateway.store.tables import metadata

from .world import MASTER_KEY, World

OPENED = """
import asyncio, sys
from gateway.app import gateway
from gateway.cli import serve
from gateway.clock import Clock
from gateway.identity.keys import Keys
from gateway.store.sql import open_store

async def main():
    store = await open_store(sys.argv[1], bytes(range(32)), Clock())
    assert not await Keys(store.keys, Clock()).ensure("EdDSA")
    await store.directory.by_grant("none")
    await store.revocations.prune(0.0)
    await store.aclose()

asyncio.run(main())
print(*sorted({"sqlalchemy", "alembic", "aiosqlite", "asyncpg", "redis"} & set(sys.modules)))
"""


async def test_the_migrations_make_the_tables(url: str) -> None:
    """A migrated database and the tables in the code are the same."""

    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    database = engine_of(url).database()
    async with database.writing() as connection:
        assert await connection.run_sync(differences) == []
    await database.aclose()


async def test_migrating_again_changes_nothing(url: str) -> None:
    """It may run at every deployment."""
    assert await schema.migrate(url) == (NEWEST, NEWEST)


def test_the_newest_revision_is_the_last_migration() -> None:
    """Written down, so that a start need not ask Alembic."""
    assert schema.newest() == NEWEST


def test_a_worker_that_changes_nothing_loads_no_sqlalchemy(world: World) -> None:
    """A third of the memory of a start, and of its time."""
    done = subprocess.run([sys.executable, "-c", OPENED, world.url], capture_output=True, text=True, check=True)
    assert done.stdout.split() == (["asyncpg"] if world.url.startswith("postgresql") else [])


async def test_the_first_account_that_an_issuer_brings_is_made(url: str) -> None:
    """By a store that had not changed anything before."""
    store = await open_store(url, MASTER_KEY, Clock())
    standing = await store.directory.provision("https://id.example", "alice", "", "Alice")
    assert standing.account.name == "Alice"
    await store.aclose()


@pytest.mark.parametrize("revision", [None, "0000"])
async def test_tables_of_no_known_revision_are_not_opened(url: str, revision: str | None) -> None:
    """Emptied by hand, or of another program."""
    store = await open_store(url, MASTER_KEY, Clock())
    async with store.changes().database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM alembic_version")
        if revision is not None:
            await connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{revision}')")
    await store.aclose()
    with pytest.raises(DependencyFailed, match="revision"):
        await open_store(url, MASTER_KEY, Clock())


@pytest.mark.parametrize("url", ["sqlite:///var/gateway.db", "sqlite:////var/gateway.db"])
def test_a_path_is_what_follows_three_slashes(url: str) -> None:
    """Relative, or from the root with a fourth."""
    assert str(database_path(url)) == url[10:]
