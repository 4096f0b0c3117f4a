"""What the command line or another worker has voided: read twice a second, obeyed at once, kept for a day."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.identity.model import Revocation
from gateway.identity.ports import Revocations
from gateway.ops.logs import Log
from gateway.pipeline import Permit

POLL_SECONDS: Final = 0.5
PRUNE_SECONDS: Final = 3600.0
KEPT_SECONDS: Final = 86400.0  # a worker that reads again after an outage forgets everything, so it misses nothing


class RevocationPoll:
    """apply: called with the new rows, oldest first. While the store does not answer, the cache's own bound holds."""

    def __init__(
        self,
        source: Revocations,
        apply: Callable[[Sequence[Revocation]], None],
        log: Log,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """now: seconds since the epoch."""
        self._source = source
        self._apply = apply
        self._log = log
        self._now = now
        self._sleep = sleep
        self._last = 0
        self._failing = False
        self._looking = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """From the newest row on: nothing older can be in the cache. Raises DependencyFailed."""
        self._last = await self._source.latest()
        # two tasks: a deletion may wait seconds for the write lock, which a revocation must not
        self._tasks = [asyncio.create_task(self._poll()), asyncio.create_task(self._prune())]

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def alive(self) -> bool:
        """Whether it goes on polling."""
        return bool(self._tasks) and not self._tasks[0].done()

    async def _poll(self) -> None:
        while True:
            await self._sleep(POLL_SECONDS)
            try:
                await self._look()
            except Exception as error:  # whatever it was: without this task no revocation would be obeyed any more
                if not self._failing:
                    self._log.error("revocations cannot be read", exc_info=error)
                self._failing = True

    async def look(self) -> None:
        """Now, ahead of the next turn, which obeys what cannot be read now: the change that asks for it is made."""
        try:
            await self._look()
        except Exception as error:
            if not self._failing:  # told already; whoever can publish news could fill the log
                self._log.warning("revocations are read with the next turn", exc_info=error)

    async def _look(self) -> None:
        """The new rows are obeyed, or stay new. One look at a time: two would obey the same rows twice."""
        async with self._looking:
            await self._obey()

    async def _obey(self) -> None:
        rows = await self._source.since(self._last)
        latest = rows[-1].id if rows else await self._source.latest()
        replaced = latest < self._last  # another database is here now, whose rows say nothing of what was voided
        if not rows and not replaced:
            latest = self._last  # what was committed between the two reads is for the next turn
        missed = replaced or self._failing
        if missed:
            forgotten = (Revocation(latest, "keys", ""), *rows)
            rows = (Revocation(latest, "all", ""), *forgotten) if replaced else forgotten
        if rows:
            self._apply(rows)
        if replaced:
            self._log.warning("the database is another one: all is verified anew", before=self._last, now=latest)
        elif missed:
            self._log.info("revocations are read again")
        self._last = latest
        self._failing = False

    async def _prune(self) -> None:
        while True:
            try:
                await self._source.prune(self._now() - KEPT_SECONDS)
            except Exception as error:
                self._log.warning("old revocations stay for another hour", exc_info=error)
            await self._sleep(PRUNE_SECONDS)


def ended_by(rows: Sequence[Revocation]) -> Callable[[Permit], bool] | None:
    """Whose open exchanges and tunnels end with these rows; None when nobody's do."""
    grants = {row.subject for row in rows if row.kind == "grant"}
    accounts = {row.subject for row in rows if row.kind == "account"}
    everything = any(row.kind == "all" for row in rows)  # who was admitted cannot be asked again: it ends

    def dead(permit: Permit) -> bool:
        principal = permit.principal
        return principal is not None and (
            everything
            or principal.grant_id in grants
            or (principal.account is not None and principal.account.id in accounts)
        )

    return dead if grants or accounts or everything else None
