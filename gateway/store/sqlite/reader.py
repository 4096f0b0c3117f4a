"""The reads of a cold authentication, on the standard library's sqlite3: one hand-written query each.

A point read takes about 12 us on the spot and 1.5 ms through an ORM and another thread, so the query runs directly in
the coroutine. It never waits there: a locked database is asked again in a thread.
"""

import asyncio
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from gateway.errors import DependencyFailed
from gateway.store.outages import failed
from gateway.store.reading import ACCOUNT, GRANT, LICENCES, OWNERSHIPS, Row, Statements
from gateway.store.sqlite.file import Inode, inode

PATIENCE = 2.0  # seconds to wait for a lock
PATIENT = 64  # reads that may wait at once; each holds a client's connection

HOLDINGS = f"""
  (SELECT json_group_array(json_array(t.account_id, ta.name, t.id, r.slug, r.id, ra.permission, ra.accepted))
     {LICENCES}),
  (SELECT json_group_array(json_array(t.id, t.name, o.since)) {OWNERSHIPS}),
"""
FROM_GRANT = f"SELECT {ACCOUNT} {HOLDINGS} {GRANT} FROM grant_ g JOIN account a ON a.id = g.account_id"  # noqa: S608
STATEMENTS = Statements(
    by_grant=f"{FROM_GRANT} WHERE g.id = ?",
    by_secret=f"{FROM_GRANT} WHERE g.secret_hash = ?",
    by_subject=f"SELECT {ACCOUNT} {HOLDINGS} NULL FROM external_identity x JOIN account a ON a.id = x.account_id"  # noqa: S608
    " WHERE x.issuer = ? AND x.subject = ?",
    since="SELECT id, kind, subject FROM revocation WHERE id > ? ORDER BY id",
    due="SELECT EXISTS (SELECT 1 FROM outbox WHERE sent_at IS NULL AND failed_at IS NULL AND due_at <= ?)",
    has_tables="SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'",
)


class Reader:
    """One connection that only reads, and never waits. patience: seconds that a read may wait for a lock."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._connection: sqlite3.Connection | None = None
        self._inode: Inode | None = None
        self._waiting = 0
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="store-read")

    async def rows(self, statement: str, values: tuple[object, ...] = ()) -> list[Row]:
        """Raises DependencyFailed("store_unavailable")."""
        try:
            return self._open().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            if not is_busy(error):
                self.close()
                failed(error, str(error))
        return await self._patiently(statement, values)

    def _open(self) -> sqlite3.Connection:
        # SQLite goes on reading a file that was replaced or deleted, and would answer from the past
        found = inode(self._path)
        if self._connection is not None and found == self._inode:
            return self._connection
        self.close()
        self._connection = connect(self._path, 0)
        self._inode = found
        return self._connection

    def usage(self) -> Mapping[str, int]:
        return {"open": int(self._connection is not None), "calls": self._waiting}

    async def _patiently(self, statement: str, values: tuple[object, ...]) -> list[Row]:
        if self._waiting >= PATIENT:
            raise DependencyFailed("store_unavailable", "too many reads wait for a lock", 1)
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(0)  # the timeout is for the task that goes on from here (`identity.ports`)
            async with asyncio.timeout(self._patience):
                return await loop.run_in_executor(self._threads, self._read, statement, values)
        except (sqlite3.Error, TimeoutError) as error:
            raise DependencyFailed("store_unavailable", "the database stays locked", 1) from error
        finally:
            self._waiting -= 1

    def _read(self, statement: str, values: tuple[object, ...]) -> list[Row]:
        connection = connect(self._path, self._patience)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def aclose(self) -> None:
        self.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def address(path: Path) -> str:
    """Of a file that is there: none is made."""
    return f"file:{quote(str(path))}?mode=rw"


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    # mode=ro would be unable to recover the log that a crash left behind, so it is query_only that forbids writing
    connection = sqlite3.connect(address(path), timeout, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte: extended codes say why
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
