"""Sealing: the audit trail's rows get their place in the chain, in the order in which they are seen committed; and what
is too old leaves the trail at its beginning.

One seals at a time, under a lock that no login takes. A row waits for less than a second; until then somebody who
writes the database can remove it unseen, but neither change it nor make one: its tag is of its content already.

What is not ours, or stands where no row of ours can, is set aside with a number below 0, so that the others are sealed.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import and_, bindparam, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity.audit import Event
from gateway.store.anchors import Anchors
from gateway.store.chain import Anchor, Chain, Link, Walk
from gateway.store.database import Database
from gateway.store.locks import hold, try_hold
from gateway.store.notes import noted
from gateway.store.rows import Values
from gateway.store.seal import Sealer
from gateway.store.tables import audit_event

BATCH = 500  # rows in one transaction of the sealer
TRIMMED = 2000  # rows that one transaction removes

CHANGED = "the audit trail cannot be trimmed: row {} is not as it was written; see `gateway audit verify`"
REFUSED = "the audit trail cannot be sealed: the database refuses its numbers"


class Seals:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._chain = Chain(sealer)
        self._clock = clock
        self.anchors = Anchors(self._chain)

    async def begin(self) -> None:
        """Of a store that has got the tables of the trail."""
        async with self._database.writing() as connection:
            await self.anchors.begin(connection)

    async def seal(self, *, patient: bool = False) -> Anchor | None:
        """Seal all that waits. The head afterwards; None when somebody else seals just now.

        patient: waits for that one. Raises DependencyFailed: also where the anchors were tampered with, as going on
        from there would cover it up.
        """
        while True:
            async with _sealable(), self._database.writing() as connection:
                if patient:
                    await hold(connection, "audit")
                elif not await try_hold(connection, "audit"):
                    return None
                start, head = await self.anchors.both(connection)
                rows = await _waiting(connection)
                sealed = await self._seal(connection, start, head, rows)
            if len(rows) < BATCH:
                return sealed

    async def trim(self, before: float) -> int:
        """Remove rows from the beginning, up to the first that is not older than this (seconds since the epoch), and
        write down where the trail begins now. How many went."""
        gone = 0
        while True:
            async with self._database.writing() as connection:
                if not await try_hold(connection, "audit"):
                    return gone
                count = await self._trim(connection, before)
            gone += count
            if count < TRIMMED:
                return gone

    async def _seal(self, connection: AsyncConnection, start: Anchor, head: Anchor, rows: Sequence[Link]) -> Anchor:
        seq, mac = head.seq, head.mac
        changes: list[Values] = []
        for row in rows:
            # what retention removed could be put back; it is still ours, and no news
            if row.id <= 0 or not self._chain.is_ours(row.entry, row.tag) or row.entry.at <= start.at:
                changes.append({"row": row.id, "number": self._aside(), "link": None})
                continue
            seq, mac = seq + 1, self._chain.link(mac, seq + 1, row.id, row.tag)
            changes.append({"row": row.id, "number": seq, "link": mac})
        if changes:
            changes = await self._beyond(connection, head) + changes
            place = update(audit_event).where(audit_event.c.id == bindparam("row"))
            await connection.execute(place.values(seq=bindparam("number"), mac=bindparam("link")), changes)
        if seq == head.seq:
            return head
        sealed = Anchor("head", seq, mac, self._clock.now(), head.version)
        await self.anchors.put(connection, sealed)
        return sealed

    async def _beyond(self, connection: AsyncConnection, head: Anchor) -> list[Values]:
        """Rows that stand where the next ones must. No row of ours is after the head: both are written at once."""
        seq = audit_event.c.seq
        found = await connection.execute(select(audit_event.c.id).where(seq > head.seq, seq <= head.seq + BATCH))
        return [{"row": row.id, "number": self._aside(), "link": None} for row in found]

    def _aside(self) -> int:
        """A number below 0 that nobody can have taken beforehand."""
        return -1 - (int.from_bytes(self._clock.token_bytes(8)) >> 2)

    async def _trim(self, connection: AsyncConnection, before: float) -> int:
        start, head = await self.anchors.both(connection)
        rows = select(audit_event.c.seq).where(audit_event.c.seq > start.seq)
        newer = rows.where(audit_event.c.at >= before).order_by(audit_event.c.seq).limit(1)
        first = (await connection.execute(newer)).scalar()
        last = min(head.seq if first is None else first - 1, start.seq + TRIMMED)
        if last <= start.seq:
            return 0
        old = and_(audit_event.c.seq > start.seq, audit_event.c.seq <= last)
        mac = await self._walked(connection, start, last)
        newest = (await connection.execute(select(func.max(audit_event.c.at)).where(old))).scalar()
        count = (await connection.execute(delete(audit_event).where(old))).rowcount
        await self.anchors.put(connection, Anchor("start", last, mac, max(start.at, newest or 0.0), start.version))
        noted(connection, Event("trail_trimmed", detail={"first": start.seq + 1, "last": last}))
        return count

    async def _walked(self, connection: AsyncConnection, start: Anchor, last: int) -> bytes:
        """The link of that row. Raises DependencyFailed where a row up to it is not as it was written: were it removed,
        nobody could find that out, and a time that somebody has set back would remove whatever they please."""
        walk = Walk(self._chain, start)
        while walk.seq < last:
            after = and_(audit_event.c.seq > walk.seq, audit_event.c.seq <= last)
            page = select(audit_event).where(after).order_by(audit_event.c.seq).limit(BATCH)
            links = [Link.of(row) for row in await connection.execute(page)]
            broken = await asyncio.to_thread(walk.steps, links)
            if broken is not None or not links:
                raise DependencyFailed("store_unavailable", CHANGED.format(walk.seq + 1))
        return walk.mac


async def _waiting(connection: AsyncConnection) -> Sequence[Link]:
    waiting = select(audit_event).where(audit_event.c.seq.is_(None)).order_by(audit_event.c.id).limit(BATCH)
    return [Link.of(row) for row in await connection.execute(waiting)]


@asynccontextmanager
async def _sealable() -> AsyncIterator[None]:
    try:
        yield
    except IntegrityError as error:  # whatever somebody has put into the way
        raise DependencyFailed("store_unavailable", REFUSED) from error
