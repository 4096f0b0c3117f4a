"""What the command line or another worker has voided: read more than twice a second, obeyed at once, kept for a day."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.clock import BETWEEN, Between
from gateway.identity.model import Revocation
from gateway.identity.ports import Revocations
from gateway.ops.logs import Log
from gateway.pipeline import Permit

POLL_SECONDS: Final = 0.5  # at most, and 0.4 at least: four hundred workers must not all ask at one instant
LOOK_SECONDS: Final = 2.0  # that a change waits for its own effect here: as long as a read of the table may take
PRUNE_SECONDS: Final = 3600.0
KEPT_SECONDS: Final = 86400.0  # longer than any outage after which a worker goes by the rows alone
DOUBT_SECONDS: Final = 5.0  # unread for as long, the table may be another one, put back from a backup: all is read anew


class RevocationPoll:
    """apply: called with the new rows, oldest first. While the store does not answer, the cache's own bound holds."""

    def __init__(
        self,
        source: Revocations,
        apply: Callable[[Sequence[Revocation]], None],
        log: Log,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        between: Between = BETWEEN,
    ) -> None:
        """now: seconds since the epoch. `begin` and then `start` begin it."""
        self._source = source
        self._apply = apply
        self._log = log
        self._now = now
        self._sleep = sleep
        self._between = between
        self._last = 0
        self._read_at = now()
        self._readable = True
        self._failing = False
        self._looking = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None  # the look that has not begun
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """From the newest row on: to be called before anything is read that a row may void. Raises DependencyFailed."""
        self._last = await self._source.latest()
        self._read_at = self._now()

    def start(self) -> None:
        # two tasks: a deletion may wait seconds for the write lock, which a revocation must not
        self._tasks = [asyncio.create_task(self._poll()), asyncio.create_task(self._prune())]

    async def aclose(self) -> None:
        tasks = [*self._tasks, *([self._next] if self._next is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def alive(self) -> bool:
        """Whether it goes on polling."""
        return bool(self._tasks) and not self._tasks[0].done()

    @property
    def readable(self) -> bool:
        """Whether the last read of the table succeeded: the store is asked that often."""
        return self._readable

    @property
    def age(self) -> float:
        """Seconds since the table was read."""
        return max(self._now() - self._read_at, 0.0)

    async def _poll(self) -> None:
        while True:
            await self._sleep(self._between(0.8 * POLL_SECONDS, POLL_SECONDS))
            try:
                await self._look()
            except Exception as error:  # whatever it was: without this task no revocation would be obeyed any more
                if not self._failing:
                    self._log.error("revocations cannot be read", exc_info=error)
                self._failing = True

    async def look(self) -> None:
        """Now, ahead of the next turn, which obeys what cannot be read now: the change that asks for it is made."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._look()
        except Exception as error:
            if not self._failing:  # told already; whoever can publish news could fill the log
                self._log.warning("revocations are read with the next turn", exc_info=error)

    async def _look(self) -> None:
        """The new rows are obeyed, or stay new. One look at a time: two would obey the same rows twice.

        All who come during one share the next: that under way may have read the table before their change.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._in_turn())
            self._next.add_done_callback(_heard)
        await asyncio.shield(self._next)

    async def _in_turn(self) -> None:
        async with self._looking:
            self._next = None
            await self._obey()

    async def _obey(self) -> None:
        rows, latest = await self._read()
        replaced = latest < self._last  # another database is here now, whose rows say nothing of what was voided
        if not rows and not replaced:
            latest = self._last  # what was committed between the two reads is for the next turn
        if replaced or (self._failing and self.age >= DOUBT_SECONDS):
            forgotten = (Revocation(latest, "keys", ""), *rows)
            rows = (Revocation(latest, "all", ""), *forgotten) if replaced else forgotten
        if rows:
            self._apply(rows)
        if replaced:
            self._log.warning("the database is another one: all is verified anew", before=self._last, now=latest)
        elif self._failing:
            self._log.info("revocations are read again")
        self._last = latest
        self._read_at = self._now()
        self._failing = False

    async def _read(self) -> tuple[Sequence[Revocation], int]:
        """The new rows, and the number of the newest."""
        try:
            rows = await self._source.since(self._last)
            latest = rows[-1].id if rows else await self._source.latest()
        except BaseException:
            self._readable = False
            raise
        self._readable = True
        return rows, latest

    async def _prune(self) -> None:
        await self._sleep(self._between(0.0, PRUNE_SECONDS))
        while True:
            try:
                await self._source.prune(self._now() - KEPT_SECONDS)
            except Exception as error:
                self._log.warning("old revocations stay for another hour", exc_info=error)
            await self._sleep(self._between(0.8 * PRUNE_SECONDS, 1.2 * PRUNE_SECONDS))


def _heard(task: asyncio.Task[None]) -> None:
    """Its failure is told by whoever waited; when nobody did any more, by the next turn."""
    if not task.cancelled():
        task.exception()


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
