"""One bounded way to the shared state: a dead server costs the calls under way one short wait, and the next ones none.

After a call that failed, calls fail at once, until a probe in the background is answered. A call that the server
answers with a refusal fails alone: the server is there. Who calls has a way to go on alone; this module never decides
which.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Final, TypeVar

from gateway.clock import BETWEEN, Between
from gateway.errors import DependencyFailed
from gateway.state.answers import FAILURES, is_refusal, misconfigured, why
from gateway.state.connection import Client, Script, disconnect
from gateway.state.scripts import PROBE

PATIENCE: Final = 0.25  # seconds for a call, hundreds of times what one takes
PROBE_SECONDS: Final = 1.0  # for a probe: it may have to find the master, and to shake hands
PAUSE: Final = 1.0  # seconds between probes, more or less
CALLS: Final = 64  # at once; others wait for their turn
TURN_SECONDS: Final = 1.0  # for a turn: then there are more calls than this process can make, and the server is well
REFUSALS: Final = 16  # kinds that are told, each once
ENDINGS: Final = 3  # times that a task is cancelled
CODE: Final = "state_unavailable"

T = TypeVar("T")
Told = Callable[[str | None], object]  # why the state is away; None: it is back
Refused = Callable[[str], object]  # what the server said to a command


class Link:
    """outages: how often it went away."""

    def __init__(
        self,
        client: Client,
        probe: str,
        told: Told,
        patience: float = PATIENCE,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        refused: Refused = lambda _why: None,
        between: Between = BETWEEN,
        turn: float = TURN_SECONDS,
    ) -> None:
        """patience: seconds for a call; turn: before it begins. probe: a key to write: a server that only reads, or is
        full, is of no use. refused: told each kind once.
        """
        self.client = client
        self.alive = True
        self.outages = 0
        self._probe = probe
        self._told = told
        self._refused = refused
        self._refusals: set[str] = set()
        self._between = between
        self._script = Script(PROBE)
        self._patience, self._patience_for_turn = patience, turn
        self._sleep = sleep
        self._calls = asyncio.Semaphore(CALLS)
        self._reviving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Tries it. A server that is not there now is waited for in the background.

        Raises DependencyFailed("state_misconfigured") for one that is there, and will never take us as we are.
        """
        try:
            await self._try()
        except FAILURES as error:
            wrong = misconfigured(error)
            if wrong is not None:
                raise DependencyFailed("state_misconfigured", wrong) from error
            self._lost(error)

    async def do(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Raises DependencyFailed("state_unavailable"), without a wait while the state is known to be away."""
        async with self._turn():
            if not self.alive:  # it went while this call waited
                raise DependencyFailed(CODE)
            try:
                async with asyncio.timeout(self._patience):
                    return await work(self.client)
            except FAILURES as error:
                if is_refusal(error):
                    self._tell_refusal(error)
                else:
                    self._lost(error)
                raise DependencyFailed(CODE, why(error)) from error

    async def aclose(self) -> None:
        self.alive = False
        if self._reviving is not None:
            await end([self._reviving])
        with contextlib.suppress(*FAILURES):  # whatever a server does, a gateway stops
            async with asyncio.timeout(PROBE_SECONDS):
                await disconnect(self.client)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if not self.alive:
            raise DependencyFailed(CODE)
        try:
            async with asyncio.timeout(self._patience_for_turn):
                await self._calls.acquire()
        except TimeoutError as error:
            raise DependencyFailed(CODE, "too many calls wait for their turn") from error
        try:
            yield
        finally:
            self._calls.release()

    def _tell_refusal(self, error: Exception) -> None:
        kind = why(error)[:64]
        if kind not in self._refusals and len(self._refusals) < REFUSALS:
            self._refusals.add(kind)
            self._refused(why(error))

    def _lost(self, error: Exception) -> None:
        if not self.alive:
            return  # another call has met it
        self.alive = False
        self.outages += 1
        self._told(why(error))
        self._reviving = asyncio.create_task(self._revive())

    async def _revive(self) -> None:
        while True:
            await self._sleep(self._between(0.8 * PAUSE, 1.2 * PAUSE))
            try:
                await self._try()
            except FAILURES:
                continue
            self.alive = True
            self._told(None)
            return

    async def _try(self) -> None:
        async with asyncio.timeout(PROBE_SECONDS):
            await self._script.run(self.client, [self._probe], [])  # a script, as nearly everything is one


async def end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancels them until they end: what is cancelled inside a library is not always told to who called it."""
    for _ in range(ENDINGS):
        for task in tasks:
            task.cancel()
        if not tasks or not (await asyncio.wait(tasks, timeout=PROBE_SECONDS))[1]:
            return
