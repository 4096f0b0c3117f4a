"""What `store.upkeep` writes, on plain sqlite3 in a thread, where waiting for the lock holds nobody up."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from gateway.store.outages import failed
from gateway.store.sqlite.file import inode
from gateway.store.sqlite.reader import address
from gateway.store.upkeep import Book, Work

PATIENCE = 5.0  # seconds to wait for another write
BOOK = Book("?")


async def prune(path: Path, before: float) -> None:
    await asyncio.to_thread(_write, path, BOOK.prune(before))


async def forget(path: Path, before: float) -> None:
    await asyncio.to_thread(_write, path, BOOK.forget(before))


async def touch(path: Path, used: Mapping[str, float]) -> None:
    await asyncio.to_thread(_write, path, BOOK.touch(used))


def _write(path: Path, works: Sequence[Work]) -> None:
    """Each in a transaction of its own. Raises DependencyFailed."""
    inode(path)  # SQLite would say "unable to open", without the path or the reason
    try:
        with closing(sqlite3.connect(address(path), PATIENCE, uri=True, isolation_level=None)) as connection:
            for statement, rows in works:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(statement, rows)
                connection.execute("COMMIT")
    except sqlite3.Error as error:
        failed(error, str(error))
