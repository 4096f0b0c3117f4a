"""What `store.upkeep` writes, on one connection that is there while it is needed: a few milliseconds once a minute.

Of all workers on one database, one deletes: the one whose session holds an advisory lock. The others would find nothing
left, after each has read the tables for it.
"""

import asyncio
from collections.abc import Mapping, Sequence

import asyncpg

from gateway.store.outages import failed
from gateway.store.postgres.address import Address, arguments, milliseconds
from gateway.store.reading import Reader
from gateway.store.upkeep import Book, Work

PATIENCE = 5.0  # seconds to wait for another write
WORKING = 60.0  # seconds that a deletion may take: there may be an hour's rows

# what another transaction holds is for the next time: nobody waits for a deletion, and it waits for nobody
BOOK = Book("$", "FOR UPDATE SKIP LOCKED")
# two numbers are a name of their own, which none of `store.locks` can have: those are one number
CHOSEN = f"SELECT pg_try_advisory_lock({int.from_bytes(b'gate')}, 1)"


class Upkeep:
    """watcher: the one session that a worker always has, so the lock ends with the worker and not before."""

    def __init__(self, address: Address, watcher: Reader) -> None:
        self._address = address
        self._watcher = watcher
        self._one = asyncio.Lock()  # connection

    async def prune(self, before: float) -> None:
        if await self._is_chosen():
            await self._write(BOOK.prune(before))

    async def forget(self, before: float) -> None:
        if await self._is_chosen():
            await self._write(BOOK.forget(before))

    async def touch(self, used: Mapping[str, float]) -> None:
        await self._write(BOOK.touch(used))

    async def _is_chosen(self) -> bool:
        """Whoever asks first, and then again and again, until its session ends."""
        return bool((await self._watcher.rows(CHOSEN))[0][0])

    async def _write(self, works: Sequence[Work]) -> None:
        """Each all or nothing. Raises DependencyFailed."""
        said = arguments(self._address, WORKING, lock_timeout=milliseconds(PATIENCE))
        try:
            async with self._one:
                connection = await asyncpg.connect(**said)
                try:
                    for statement, rows in works:
                        await connection.executemany(statement, rows)
                finally:
                    await connection.close(timeout=PATIENCE)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            failed(error, f"{self._address}: {error}")
