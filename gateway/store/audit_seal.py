"""Sealing: the audit trail's rows get their place in the chain, in the order in which they are seen committed; and what
is too old leaves the trail at its beginning.

One seals at a time, under a lock that no login takes. A row waits for less than a second; until then somebody who
writes the database can remove it unseen, but neither change it nor make one: its tag is of its content already.
"""

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity.audit import Event
from gateway.store.chain import GENESIS, Anchor, AnchorName, Chain, Link
from gateway.store.database import Database
from gateway.store.locks import hold, try_hold
from gateway.store.notes import noted
from gateway.store.rows import Values
from gateway.store.seal import Sealer
from gateway.store.tables import audit_anchor, audit_event

BATCH = 500  # rows in one transaction of the sealer
TRIMMED = 10_000  # rows that one transaction removes

BROKEN = "the audit trail cannot be sealed: its {} is missing or was altered; see `gateway audit verify`"


class Seals:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._chain = Chain(sealer.mac)
        self._clock = clock

    async def seal(self, *, patient: bool = False) -> Anchor | None:
        """Seal all that waits. The head afterwards; None when somebody else seals just now.

        patient: waits for that one. Raises DependencyFailed: also where the anchors were tampered with, as going on
        from there would cover it up.
        """
        while True:
            async with self._database.writing() as connection:
                if patient:
                    await hold(connection, "audit")
                elif not await try_hold(connection, "audit"):
                    return None
                start, head = await self._anchors(connection)
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
            if not self._chain.is_ours(row.entry, row.tag) or row.entry.at <= start.at:
                changes.append({"row": row.id, "number": -row.id, "link": None})
                continue
            seq, mac = seq + 1, self._chain.link(mac, seq + 1, row.tag)
            changes.append({"row": row.id, "number": seq, "link": mac})
        if changes:
            place = update(audit_event).where(audit_event.c.id == bindparam("row"))
            await connection.execute(place.values(seq=bindparam("number"), mac=bindparam("link")), changes)
        if seq == head.seq:
            return head
        sealed = Anchor("head", seq, mac, self._clock.now())
        await self._put(connection, sealed)
        return sealed

    async def _trim(self, connection: AsyncConnection, before: float) -> int:
        start, head = await self._anchors(connection)
        rows = select(audit_event.c.seq).where(audit_event.c.seq > start.seq)
        newer = rows.where(audit_event.c.at >= before).order_by(audit_event.c.seq).limit(1)
        first = (await connection.execute(newer)).scalar()
        last = min(head.seq if first is None else first - 1, start.seq + TRIMMED)
        row = (await connection.execute(select(audit_event).where(audit_event.c.seq == last))).first()
        if last <= start.seq or row is None:
            return 0
        old = and_(audit_event.c.seq > start.seq, audit_event.c.seq <= last)
        newest = (await connection.execute(select(func.max(audit_event.c.at)).where(old))).scalar()
        count = (await connection.execute(delete(audit_event).where(old))).rowcount
        await self._put(connection, Anchor("start", last, Link.of(row).mac, max(start.at, newest or 0.0)))
        noted(connection, Event("trail_trimmed", detail={"first": start.seq + 1, "last": last}))
        return count

    async def _anchors(self, connection: AsyncConnection) -> tuple[Anchor, Anchor]:
        """start and head. Before the first row of all there are none, and they are made."""
        start, head = await self.anchor(connection, "start"), await self.anchor(connection, "head")
        if start is not None and head is not None:
            return start, head
        there = select(func.count()).select_from(audit_event).where(audit_event.c.seq.is_not(None))
        if start is not None or head is not None or (await connection.execute(there)).scalar_one():
            raise DependencyFailed("store_unavailable", BROKEN.format("record of its ends"))
        at = 0.0
        start, head = Anchor("start", 0, GENESIS, at), Anchor("head", 0, GENESIS, at)
        await self._put(connection, start)
        await self._put(connection, head)
        return start, head

    async def anchor(self, connection: AsyncConnection, name: AnchorName) -> Anchor | None:
        """None when there is none. Raises DependencyFailed when it is not ours."""
        row = (await connection.execute(select(audit_anchor).where(audit_anchor.c.name == name))).first()
        if row is None:
            return None
        found = Anchor.of(name, row)
        if not self._chain.is_anchor(found, row.tag):
            raise DependencyFailed("store_unavailable", BROKEN.format(name))
        return found

    async def _put(self, connection: AsyncConnection, anchor: Anchor) -> None:
        await connection.execute(delete(audit_anchor).where(audit_anchor.c.name == anchor.name))
        row = {"name": anchor.name, "seq": anchor.seq, "mac": anchor.mac, "at": anchor.at}
        await connection.execute(insert(audit_anchor).values(row | {"tag": self._chain.anchor_tag(anchor)}))


async def _waiting(connection: AsyncConnection) -> Sequence[Link]:
    waiting = select(audit_event).where(audit_event.c.seq.is_(None)).order_by(audit_event.c.id).limit(BATCH)
    return [Link.of(row) for row in await connection.execute(waiting)]
