"""One bounded way to the shared state: a dead server costs the calls under way one short wait, and the next ones none.

After a call that failed, calls fail at once, until a probe in the background is answered. Who calls has a way to go on
alone; this module never decides which.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from typing import Final, TypeVar

from redis.exceptions import RedisError

from gateway.errors import DependencyFailed
from gateway.state.connection import Client, disconnect

PATIENCE: Final = 0.25  # seconds for a call, hundreds of times what one takes
PROBE_SECONDS: Final = 1.0  # for a probe: it may have to find the master, and to shake hands
PAUSE: Final = 1.0  # seconds between probes
CALLS: Final = 64  # at once; others wait within their patience
ENDINGS: Final = 3  # times that a task is cancelled
CODE: Final = "state_unavailable"

T = TypeVar("T")
Told = Callable[[str | None], object]  # why the state is away; None: it is back


class Link:
    """outages: how often it went away."""

    def __init__(
        self,
        client: Client,
        probe: str,
        told: Told,
        patience: float = PATIENCE,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """probe: a key to write: a server that only reads, or is full, is of no use."""
        self.client = client
        self.alive = True
        self.outages = 0
        self._probe = probe
        self._told = told
        self._patience = patience
        self._sleep = sleep
        self._calls = asyncio.Semaphore(CALLS)
        self._reviving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Tries it. A server that is not there now is waited for in the background."""
        try:
            await self._try()
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)

    async def do(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Raises DependencyFailed("state_unavailable"), without a wait while the state is known to be away."""
        if not self.alive:
            raise DependencyFailed(CODE)
        try:
            async with asyncio.timeout(self._patience), self._calls:
                return await work(self.client)
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)
            raise DependencyFailed(CODE, _why(error)) from error

    async def aclose(self) -> None:
        self.alive = False
        if self._reviving is not None:
            await end([self._reviving])
        with contextlib.suppress(RedisError, OSError, TimeoutError):  # whatever a server does, a gateway stops
            async with asyncio.timeout(PROBE_SECONDS):
                await disconnect(self.client)

    def _lost(self, error: Exception) -> None:
        if not self.alive:
            return  # another call has met it
        self.alive = False
        self.outages += 1
        self._told(_why(error))
        self._reviving = asyncio.create_task(self._revive())

    async def _revive(self) -> None:
        while True:
            await self._sleep(PAUSE)
            try:
                await self._try()
            except (RedisError, OSError, TimeoutError):
                continue
            self.alive = True
            self._told(None)
            return

    async def _try(self) -> None:
        async with asyncio.timeout(PROBE_SECONDS):
            await self.client.set(self._probe, b"1", px=1000)


async def end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancels them until they end: what is cancelled inside a library is not always told to who called it."""
    for _ in range(ENDINGS):
        for task in tasks:
            task.cancel()
        if not tasks or not (await asyncio.wait(tasks, timeout=PROBE_SECONDS))[1]:
            return


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__  # TimeoutError has no text
