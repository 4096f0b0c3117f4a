"""What many may do at once, until somebody needs that nobody does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Passed by workers that start; closed while the supervisor hands over what it has."""

    def __init__(self) -> None:
        self._passing = 0
        self._turn = asyncio.Lock()
        self._empty = asyncio.Event()
        self._empty.set()

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """At once, or when it is open again."""
        async with self._turn:
            self._passing += 1
            self._empty.clear()
        try:
            yield
        finally:
            self._passing -= 1
            if not self._passing:
                self._empty.set()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Nobody passes, from when the last one is through."""
        async with self._turn:
            await self._empty.wait()
            yield
