"""What a worker writes down now and then: when grants were used last, and that old challenges go."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Protocol

from gateway.clock import Clock
from gateway.ops.logs import Log

USED_SECONDS: Final = 60.0  # a list of sessions may lag that far behind
FORGET_SECONDS: Final = 3600.0
KEPT_SECONDS: Final = 86400.0  # of a challenge that is over, for whoever looks into a complaint


class Books(Protocol):
    """The part of the store that is used here. Each raises DependencyFailed."""

    async def touch(self, used: Mapping[str, float]) -> None: ...

    async def forget(self, before: float) -> None: ...


class Upkeep:
    """used: takes what was used since it was last asked, from every generation."""

    def __init__(self, books: Books, used: Callable[[], Iterable[Mapping[str, float]]], log: Log, clock: Clock) -> None:
        self._books = books
        self._used = used
        self._log = log
        self._now = clock.now
        self._between = clock.between
        self._kept: dict[str, float] = {}  # not written yet
        self._failing = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._repeat(USED_SECONDS, self.write_used)),
            asyncio.create_task(self._repeat(FORGET_SECONDS, self._forget)),
        ]

    async def aclose(self) -> None:
        """Writes what is left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._attempt(self.write_used)

    def take(self, used: Mapping[str, float]) -> None:
        """Of a generation that ends."""
        for grant_id, at in used.items():
            self._kept[grant_id] = max(at, self._kept.get(grant_id, at))

    async def write_used(self) -> None:
        """Raises DependencyFailed: then it is written the next time."""
        for used in self._used():
            self.take(used)
        writing, self._kept = self._kept, {}
        try:
            if writing:
                await self._books.touch(writing)
        except BaseException:
            self.take(writing)
            raise

    async def _forget(self) -> None:
        await self._books.forget(self._now() - KEPT_SECONDS)

    async def _repeat(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._between(0.8 * seconds, 1.2 * seconds))  # not all workers at one instant
            await self._attempt(work)

    async def _attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # whatever it was: the worker goes on, and this is tried again
            if not self._failing:
                self._log.warning("the store's upkeep waits", exc_info=error)
            self._failing = True
        else:
            self._failing = False
