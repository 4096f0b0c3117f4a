"""PostgreSQL behind SQLAlchemy: a bounded pool, bounded waits, and connections that are replaced when they break."""

import asyncio
from contextlib import suppress
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
UNUSED = 60.0  # seconds after which a connection that nobody uses is closed, as the reader's
MIGRATING = 60.0  # seconds to wait for the others that migrate, and for those that still use a table

GOODBYE = 1.0  # seconds to tell the server that a connection ends
_TIMER, _CLOSING = "gateway_timer", "gateway_closing"  # in the `info` of a pool's entry, which a new connection empties

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
        pool_use_lifo=True,  # so that those that are not needed are the ones that nobody uses
        hide_parameters=True,  # an error's text must not carry the bound values: digests are among them
    )
    sync, closing = engine.sync_engine, Closing(UNUSED)
    event.listen(sync, "checkin", closing.returned)
    event.listen(sync, "checkout", closing.taken)

    @event.listens_for(sync, "handle_error")
    def without_values(context: ExceptionContext) -> None:
        # DETAIL: Key (key)=(ada@example.org) already exists
        cause = context.original_exception.__cause__
        if isinstance(cause, asyncpg.PostgresError):
            cause.detail = None

    return engine


class Closing:
    """Closes a pool's connections that nobody has used for so long, and has the pool open others in their place."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._tasks: set[asyncio.Task[None]] = set()

    def returned(self, connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        if entry.driver_connection is not None:
            entry.info[_TIMER] = asyncio.get_running_loop().call_later(self._seconds, self._close, entry)

    def taken(self, connection: DBAPIConnection, entry: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
        timer = entry.info.pop(_TIMER, None)
        if timer is not None:
            timer.cancel()
        found = entry.driver_connection
        # closed here, or by a server that was restarted meanwhile; the pool opens another, at no cost for the others
        if found is None or found.is_closed() or entry.info.get(_CLOSING):
            raise DisconnectionError("the connection is closed")

    def _close(self, entry: ConnectionPoolEntry) -> None:
        entry.info[_CLOSING] = True  # from now on: the task runs in a turn of the loop to come
        task = asyncio.create_task(_closed(entry.driver_connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _closed(connection: "asyncpg.Connection[asyncpg.Record] | None") -> None:
    if connection is not None:
        with suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=GOODBYE)


def _nothing() -> None:
    """A server has no file to look for."""
