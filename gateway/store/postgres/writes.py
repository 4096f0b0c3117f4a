"""PostgreSQL behind SQLAlchemy: a bounded pool, bounded waits, and connections that are replaced when they break."""

from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from gateway.store.database import Database
from gateway.store.postgres.address import Address, arguments, milliseconds

CONNECTIONS = 4  # of a worker, beside those that read
PATIENCE = 5.0  # seconds that a write waits for a lock, and that a statement may take
POOL_PATIENCE = 5.0  # seconds to wait for one of the connections
IDLE = 15.0  # seconds until a transaction whose worker is gone lets go of its locks
MIGRATING = 60.0  # seconds to wait for the others that migrate, and for those that still use a table

SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def open_database(address: Address, patience: float = PATIENCE, turn: float = POOL_PATIENCE) -> Database:
    """patience: seconds that a statement may take, with the locks that it waits for. turn: to wait for a connection."""
    said = arguments(
        address,
        patience + 1,  # so that a lock is what a lock's timeout tells
        lock_timeout=milliseconds(patience),
        idle_in_transaction_session_timeout=milliseconds(IDLE),
    )
    return Database(make_engine(said, CONNECTIONS, turn), _nothing, SNAPSHOT)


def open_migrating(address: Address) -> Database:
    """A migration may take as long as there are rows."""
    return Database(make_engine(arguments(address, None, lock_timeout=milliseconds(MIGRATING)), 1), _nothing, SNAPSHOT)


def make_engine(said: dict[str, Any], connections: int, turn: float = POOL_PATIENCE) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=partial(asyncpg.connect, **said),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=turn,
        hide_parameters=True,  # an error's text must not carry the bound values: digests are among them
    )
    sync = engine.sync_engine

    @event.listens_for(sync, "checkout")
    def still_open(connection: DBAPIConnection, entry: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
        # of a server that was restarted meanwhile; SQLAlchemy then opens another, at no cost for the others
        if entry.driver_connection is None or entry.driver_connection.is_closed():
            raise DisconnectionError("the server has closed the connection")

    @event.listens_for(sync, "handle_error")
    def without_values(context: ExceptionContext) -> None:
        # DETAIL: Key (key)=(ada@example.org) already exists
        cause = context.original_exception.__cause__
        if isinstance(cause, asyncpg.PostgresError):
            cause.detail = None

    return engine


def _nothing() -> None:
    """A server has no file to look for."""
