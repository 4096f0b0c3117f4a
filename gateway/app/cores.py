"""The generations of the configuration that are in use at a time, and what each of them is told."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

from gateway.app.core import Core
from gateway.errors import DependencyFailed
from gateway.identity.model import Revocation
from gateway.ops.logs import Log


class Cores:
    """current: the one that runs. Besides it those that exchanges still go by, and the one to come.

    in_use: whether an exchange goes by it. used: takes when the grants were last used, as the ended one saw it.
    """

    current: Core

    def __init__(self, log: Log, in_use: Callable[[Core], bool], used: Callable[[Mapping[str, float]], object]) -> None:
        self._log = log
        self._in_use = in_use
        self._used = used
        self._others: set[Core] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Core]:
        yield self.current
        yield from tuple(self._others)

    def announce(self, core: Core) -> None:
        """It is to come: what is revoked from now on is for it too."""
        self._others.add(core)

    def forget(self, core: Core) -> None:
        """It does not come after all."""
        self._others.discard(core)

    def adopt(self, core: Core) -> None:
        """It runs from now on."""
        self._others.discard(core)
        self.current = core

    def retire(self, core: Core, own_jwks: bool) -> None:
        """A tunnel may keep the generation for days: what was verified for it is dropped now."""
        core.authenticator.purge((Revocation(0, "all", ""),))
        self._others.add(core)
        self.begin(self._ended(core, own_jwks))

    def purge(self, rows: Sequence[Revocation]) -> None:
        for core in self:
            core.authenticator.purge(rows)

    def take_used(self) -> list[Mapping[str, float]]:
        return [core.authenticator.take_used() for core in self]

    async def reload_keys(self) -> None:
        """Ahead of the next request, which would read them itself."""
        for core in self:
            try:
                await core.authenticator.reload_keys()
            except DependencyFailed as failure:
                self._log.error("the gateway's own keys cannot be read", detail=failure.detail)

    def begin(self, work: Coroutine[object, object, None]) -> None:
        """Work that nobody waits for; cancelled at the end."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for core in tuple(self):
            await core.aclose()
            await core.jwks.aclose()

    async def _ended(self, core: Core, own_jwks: bool) -> None:
        """An exchange keeps the generation that it began with; when none is left, its objects end."""
        while self._in_use(core):  # noqa: ASYNC110 - it ends with exchanges, which tell nobody so
            await asyncio.sleep(1.0)
        await core.aclose()
        if own_jwks:
            await core.jwks.aclose()
        self._used(core.authenticator.take_used())
        self._others.discard(core)
