"""Revocation rows that nobody needs any more. They are written with the change that they tell of (`rows.revoked`)."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.errors import DependencyFailed
from gateway.store.file import inode
from gateway.store.sqlite import address

PATIENCE = 5.0  # seconds to wait for another write


async def prune(path: Path, before: float) -> None:
    """Delete the rows written before this, in seconds since the epoch. Their ids are never given out again.

    In a thread, where waiting holds nobody up. Raises DependencyFailed("store_unavailable").
    """
    await asyncio.to_thread(_delete, path, before)


def _delete(path: Path, before: float) -> None:
    inode(path)  # SQLite would say "unable to open", without the path or the reason
    try:
        with closing(sqlite3.connect(address(path), PATIENCE, uri=True, isolation_level=None)) as connection:
            connection.execute("DELETE FROM revocation WHERE at < ?", (before,))
    except sqlite3.Error as error:
        raise DependencyFailed("store_unavailable", str(error)) from error
