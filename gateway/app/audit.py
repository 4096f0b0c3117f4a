"""What a worker does for the audit trail: refusals are written, rows sealed twice a second, old ones removed, and the
head told to the log, where it is out of reach of whoever has the database.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from gateway.app.refusals import Batch, CountedRefusals
from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity.audit import Event, Scope
from gateway.ops.logs import Log

if TYPE_CHECKING:
    from gateway.store.chain import Anchor
    from gateway.store.changes import Changes

SECONDS: Final = 0.5  # between two looks
RARELY: Final = 3600.0  # seconds between two looks for what is too old, and two words about the head


class Store(Protocol):
    """The part of `store.sql.Store` that is used here. Each raises DependencyFailed."""

    async def audit_waits(self) -> bool: ...

    async def audit_oldest(self) -> float | None: ...

    async def open_changes(self) -> None: ...

    def changes(self) -> "Changes": ...


class Auditing:
    """keep: seconds that rows are kept; asked for when they are looked at, so that a reload is followed."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self.refusals = CountedRefusals(clock)
        self._clock = clock
        self._log = log
        self._store: Store
        self._keep: Callable[[], float]
        self._task: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None  # to its end, also when the look is cancelled
        self._failing = ""
        self._head: Anchor | None = None  # the last one seen
        self._rare = 0.0  # when the rare work is due; clock.monotonic

    def attach(self, store: Store, keep: Callable[[], float]) -> None:
        self._store, self._keep = store, keep
        self._rare = self._clock.monotonic() + self._clock.between(0.0, RARELY)  # not all workers at one instant

    def start(self) -> None:
        """On the running loop."""
        self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Writes and seals what is left."""
        if self._task is not None:
            self._task.cancel()
        under_way = [task for task in (self._task, self._writing) if task is not None]
        await asyncio.gather(*under_way, return_exceptions=True)  # what it wrote is not of the rest
        with suppress(DependencyFailed):  # the store is away: it was told
            await self._write_rest()
            await self._seal()

    async def record(self, event: Event) -> None:
        """What changes nothing in the store, as a reload. A store that is away stops nothing, and the log says so."""
        try:
            await self._store.open_changes()
            await self._store.changes().audit.record(event)
        except DependencyFailed as fault:
            self._log.error("the audit trail has no row of this", kind=event.kind, reason=fault.detail or fault.code)

    async def migrated(self, revisions: tuple[str | None, str] | None) -> None:
        """The revision before and after; None where no migration was asked for."""
        if revisions is not None and revisions[0] != revisions[1]:
            await self.record(migration(*revisions))

    async def work(self) -> None:
        """One look. Raises DependencyFailed."""
        while self._writing is not None and not self._writing.done():
            await asyncio.shield(self._writing)  # by a look that was cancelled: what it writes is due until it has
        batch = self.refusals.due()
        if batch is not None:
            self._writing = asyncio.create_task(self._write_batch(batch))
            await asyncio.shield(self._writing)
        await self._seal()
        if self._clock.monotonic() >= self._rare:
            self._rare = self._clock.monotonic() + RARELY
            await self._trim()
            if self._head is not None:
                self._log.info("audit head", head=str(self._head))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._clock.between(0.8 * SECONDS, 1.2 * SECONDS))
            try:
                await self.work()
            except Exception as error:  # whatever it was: the worker goes on, and this is tried again
                self._tell(error)
            else:
                self._failing = ""

    def _tell(self, error: Exception) -> None:
        """Once for as long as it stays the same."""
        why = (error.detail or error.code) if isinstance(error, DependencyFailed) else repr(error)
        if why != self._failing:
            self._log.error("the audit trail waits", reason=why)
        self._failing = why

    async def _write_rest(self) -> None:
        await self._write(self.refusals.rest().rows)

    async def _write_batch(self, batch: Batch) -> None:
        await self._write(batch.rows)
        self.refusals.written(batch)

    async def _write(self, rows: Sequence[tuple[Event, Scope]]) -> None:
        if rows:
            await self._store.open_changes()
            await self._store.changes().audit.record_all(rows)

    async def _seal(self) -> None:
        if not await self._store.audit_waits():
            return
        await self._store.open_changes()
        head = await self._store.changes().seals.seal()
        if head is None:  # another worker does
            return
        if self._head is not None and head.seq < self._head.seq:
            self._log.error("the audit trail was cut back", seen=str(self._head), found=str(head))
        self._head = head

    async def _trim(self) -> None:
        before = self._clock.now() - self._keep()
        oldest = await self._store.audit_oldest()
        if oldest is not None and oldest < before:
            await self._store.open_changes()
            gone = await self._store.changes().seals.trim(before)
            if gone:  # else another worker has removed them
                self._log.info("old rows left the audit trail", rows=gone)


def migration(before: str | None, after: str) -> Event:
    return Event("store_migrated", detail={"from": before, "to": after})
