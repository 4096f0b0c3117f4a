"""SQLite behind SQLAlchemy: how its file is opened, and how a transaction begins."""

import sqlite3
from functools import partial
from pathlib import Path
from urllib.parse import quote
from weakref import WeakSet

from sqlalchemy import URL, Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from gateway.store.database import Database
from gateway.store.sqlite.file import inode

PATIENCE = 5.0  # seconds that a write waits for another one
POOL_PATIENCE = 10.0  # seconds to wait for one of the connections
SWITCHES = 10  # attempts to switch a new file to WAL: each fails only while yet another one switches it

PRAGMAS = ("PRAGMA foreign_keys = ON", "PRAGMA synchronous = NORMAL")


class FinalizingConnection(sqlite3.Connection):
    """Ends the statements of its cursors when it is closed, so that it has no lock then. With one that is not finished,
    sqlite3_close_v2 leaves a "zombie connection" and its transaction, until the cursor is freed: that of a read whose
    task was cancelled is in the task's traceback. Of cursors that `cursor` made, as it does for SQLAlchemy."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, factory: type[sqlite3.Cursor] = sqlite3.Cursor) -> sqlite3.Cursor:  # type: ignore[override]
        made = super().cursor(factory)
        self._cursors.add(made)
        return made

    def close(self) -> None:
        """As often as one likes: what is cancelled twice closes twice."""
        cursors, self._cursors = list(self._cursors), WeakSet()
        try:
            for cursor in cursors:
                cursor.close()
        finally:
            super().close()


def open_database(path: Path, patience: float = PATIENCE, turn: float = POOL_PATIENCE) -> Database:
    """Of a file that is there: `make_file` makes one.

    patience: seconds that a transaction may wait for a lock. turn: to wait for a connection.
    """
    # without the check SQLite would say "unable to open", without the path or the reason
    return Database(make_engine(path, patience, turn), partial(inode, path), {"snapshot": True})


def make_engine(path: Path, patience: float, turn: float = POOL_PATIENCE) -> AsyncEngine:
    url = URL.create("sqlite+aiosqlite", database=f"file:{quote(str(path))}", query={"mode": "rw", "uri": "true"})
    # an error's text must not carry the bound values: digests and password hashes are among them
    engine = create_async_engine(
        url,
        connect_args={"factory": FinalizingConnection},
        pool_size=4,
        max_overflow=0,
        pool_timeout=turn,
        hide_parameters=True,
    )
    sync = engine.sync_engine

    @event.listens_for(sync, "connect")
    def prepare(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        # bytes that are no UTF-8 are somebody else's, and must not keep the rows beside them from being read
        connection.driver_connection.text_factory = _text
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
        _log_ahead(cursor)
        for pragma in PRAGMAS:
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


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _log_ahead(cursor: DBAPICursor) -> None:
    """Two that switch a new file to WAL at once wait for each other's lock; SQLite fails one of them at once, whatever
    the timeout. It waits for the other's end by a transaction, for which the timeout counts, and looks again."""
    for attempt in range(SWITCHES):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if attempt == SWITCHES - 1:
                raise
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("COMMIT")
