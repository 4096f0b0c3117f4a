"""What is written now and then for nobody in particular: when grants were used, and what is too old to keep.

On plain sqlite3 in a thread, where waiting for the lock holds nobody up and SQLAlchemy need not be there.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from gateway.errors import DependencyFailed
from gateway.store.sqlite.file import inode
from gateway.store.sqlite.reader import address

PATIENCE = 5.0  # seconds to wait for another write
SESSIONS_KEPT = 30 * 86400.0  # longer than challenges, for whoever asks how somebody got in

PRUNE = "DELETE FROM revocation WHERE at < ?"
FORGET = "DELETE FROM challenge WHERE expires_at < ?"
# connection strings stay: their digests keep a revoked one from being made again
ENDED = "DELETE FROM grant_ WHERE kind <> 'connection' AND min(expires_at, coalesce(revoked_at, expires_at)) < ?"
TOUCH = "UPDATE grant_ SET last_used_at = ? WHERE id = ? AND coalesce(last_used_at, 0) < ?"


async def prune(path: Path, before: float) -> None:
    """Delete revocations written before this, in seconds since the epoch. Their ids are never given out again.

    Raises DependencyFailed("store_unavailable"), as all here do.
    """
    await asyncio.to_thread(_write, path, PRUNE, [(before,)])


async def forget(path: Path, before: float) -> None:
    """Delete challenges that ended before this, and sessions that ended a month before."""
    await asyncio.to_thread(_write, path, FORGET, [(before,)])
    await asyncio.to_thread(_write, path, ENDED, [(before - SESSIONS_KEPT,)])


async def touch(path: Path, used: Mapping[str, float]) -> None:
    """used: when each grant was seen last, by id."""
    await asyncio.to_thread(_write, path, TOUCH, [(at, grant_id, at) for grant_id, at in used.items()])


def _write(path: Path, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    inode(path)  # SQLite would say "unable to open", without the path or the reason
    try:
        with closing(sqlite3.connect(address(path), PATIENCE, uri=True, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, rows)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise DependencyFailed("store_unavailable", str(error)) from error
