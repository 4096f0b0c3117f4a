"""SIGHUP: as many as come while a reload is under way are one more reload."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.ops.logs import Log


class Hangup:
    """Called with each signal. A reload begins after the last one, and so reads what is on the disk by then."""

    def __init__(self, reload: Callable[[], Awaitable[object]], log: Log) -> None:
        self._reload = reload
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._wanted = False

    @property
    def pending(self) -> bool:
        """Whether a reload is under way, or waits for its turn."""
        return self._task is not None and not self._task.done()

    def __call__(self) -> None:
        self._wanted = True
        if not self.pending:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._wanted:
            self._wanted = False
            try:
                await self._reload()
            except Exception as error:  # nobody waits for this task: the old configuration goes on
                self._log.error("reload failed", exc_info=error)
