"""The SQLAlchemy engine: how SQLite is opened, how a transaction begins, and what a failure is called."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from gateway.errors import DependencyFailed
from gateway.store.file import database_path, inode

__all__ = ["Database", "database_path", "make_engine", "translated"]

PATIENCE = 5.0  # seconds that a write waits for another one

# on each connection, after busy_timeout: switching to WAL may itself have to wait
PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = NORMAL",
)


@contextmanager
def translated() -> Iterator[None]:
    """Foreign errors become DependencyFailed. A broken constraint stays what it is: the statement's author knows it."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise DependencyFailed("store_unavailable", str(error.orig)) from error
    except sqlite3.Error as error:
        raise DependencyFailed("store_unavailable", str(error)) from error
    except PoolTimeout as error:
        raise DependencyFailed("store_unavailable", "every connection to the database is busy", 1) from error


class Database:
    """One file, opened for reading and writing. It is there: `make_file` makes one.

    patience: seconds that a transaction may wait for a lock.
    """

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.path = path
        self._engine = make_engine(path, patience)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that holds the write lock from its start, so that what it read stays true until it commits."""
        await self._on_our_own()
        with translated():
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One consistent snapshot; waits for nobody."""
        await self._on_our_own()
        with translated():
            async with self._engine.connect() as plain:
                connection = await plain.execution_options(snapshot=True)
                async with connection.begin():
                    yield connection

    async def aclose(self) -> None:
        await self._engine.dispose()

    async def _on_our_own(self) -> None:
        inode(self.path)  # SQLite would say "unable to open", without the path or the reason
        await asyncio.sleep(0)  # the pool's timeouts are for the task that goes on from here (`identity.ports`)


def make_engine(path: Path, patience: float) -> AsyncEngine:
    url = URL.create("sqlite+aiosqlite", database=f"file:{quote(str(path))}", query={"mode": "rw", "uri": "true"})
    # an error's text must not carry the bound values: digests and password hashes are among them
    engine = create_async_engine(url, pool_size=4, max_overflow=0, pool_timeout=10, hide_parameters=True)
    sync = engine.sync_engine

    @event.listens_for(sync, "connect")
    def prepare(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        for pragma in (f"PRAGMA busy_timeout = {patience * 1000:.0f}", *PRAGMAS):
            cursor.execute(pragma)
        cursor.close()
        entry.info["inode"] = inode(path)

    @event.listens_for(sync, "checkout")
    def same_file(connection: DBAPIConnection, entry: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
        # a write to a file that was replaced or deleted would succeed and be lost
        if entry.info["inode"] != inode(path):
            raise DisconnectionError("the database file was replaced")

    @event.listens_for(sync, "begin")
    def begin(connection: Connection) -> None:
        snapshot = connection.get_execution_options().get("snapshot", False)
        connection.exec_driver_sql("BEGIN" if snapshot else "BEGIN IMMEDIATE")

    return engine
