"""What the command line or another worker has voided: read twice a second, obeyed at once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from gateway.errors import DependencyFailed
from gateway.identity.model import Revocation
from gateway.identity.ports import Revocations
from gateway.ops.logs import Log

POLL_SECONDS: Final = 0.5


class RevocationPoll:
    """apply: called with the new rows, oldest first. While the store does not answer, the cache's own bound holds."""

    def __init__(self, source: Revocations, apply: Callable[[Sequence[Revocation]], None], log: Log) -> None:
        self._source = source
        self._apply = apply
        self._log = log
        self._last = 0
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """From the newest row on: nothing older can be in the cache. Raises DependencyFailed."""
        self._last = await self._source.latest()
        self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                rows = await self._source.since(self._last)
            except DependencyFailed as failure:
                if not self._failing:
                    self._log.error("revocations cannot be read", detail=failure.detail)
                self._failing = True
                continue
            if self._failing:
                # what was missed is in the rows, unless the database was replaced: then none of them says it
                self._log.info("revocations are read again")
                self._failing = False
                self._apply((Revocation(self._last, "all", ""), *rows))
            elif rows:
                self._apply(rows)
            if rows:
                self._last = rows[-1].id
