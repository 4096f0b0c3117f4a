"""The audit trail read: listed by filters, and walked from its beginning to its head; in pages, never all at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.store.audit_seal import Seals
from gateway.store.chain import SAYS, Anchor, Broken, Chain, Link, Walk, What
from gateway.store.database import Database
from gateway.store.seal import Sealer
from gateway.store.tables import audit_event
from gateway.store.told import Told, silent

PAGE = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows. since, until: seconds since the epoch, the first included, the last not. limit: of the newest ones.

    before: an id; only older rows, for the page before. account: it acts, or it is concerned.
    """

    account: str | None = None
    kind: str | None = None
    since: float | None = None
    until: float | None = None
    before: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """start, head: what was walked between; None where they are not readable. rows: that are right, from the start.

    waiting: rows that are not sealed yet. since: of the first row, seconds since the epoch.
    """

    start: Anchor | None
    head: Anchor | None
    rows: int
    waiting: int
    since: float | None
    broken: Broken | None

    @property
    def says(self) -> str:
        return "" if self.broken is None else SAYS[self.broken.what]


Place = tuple[int, str]  # number and link (hex) of a row, as `Anchor` is written


class Trail:
    def __init__(self, database: Database, seals: Seals, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._seals = seals
        self._chain = Chain(sealer)
        self._clock = clock

    async def list(self, wanted: Wanted) -> AsyncIterator[Link]:
        """Newest last, in one snapshot."""
        which = matching(wanted)
        async with self._database.reading() as connection:
            rest = await self._skipped(connection, which, wanted.limit)
            while True:
                page = select(audit_event).where(which, rest).order_by(audit_event.c.id).limit(PAGE)
                rows = [Link.of(row) for row in await connection.execute(page)]
                for row in rows:
                    yield row
                if len(rows) < PAGE:
                    return
                rest = audit_event.c.id > rows[-1].id

    async def head(self) -> Anchor:
        """Seals what waits, and says where the trail ends. Raises DependencyFailed."""
        sealed = await self._seals.seal(patient=True)
        assert sealed is not None
        return sealed

    async def verify(self, known: Place | None = None, since: Place | None = None, told: Told = silent) -> Verdict:
        """known: a head that was written down elsewhere, which the trail must go through. since: one that was verified
        before; only what came after it is walked.

        What waits is sealed first; a trail is not whole where that cannot be done. The loop goes on meanwhile: what
        takes long is done in threads. Raises DependencyFailed for a store that is away.
        """
        waiting, stuck = await self._sealed()
        async with self._database.reading() as connection:
            ends = await self._ends(connection)
            if isinstance(ends, Broken):
                return Verdict(None, None, 0, waiting, None, ends)
            start, head = ends
            if since is not None and start.seq <= since[0]:
                start = Anchor("start", since[0], bytes.fromhex(since[1]), start.at)
            walk, first, found = Walk(self._chain, start), None, None
            async for links in self._pages(connection, start.seq):
                first = links[0].entry.at if first is None else first
                found = await asyncio.to_thread(_walked, walk, links, known)
                if found is not None:
                    break
                told("verifying", walk.seq - start.seq, head.seq - start.seq)
            found = found or walk.end(head) or _unseen(known, start, head) or await self._set_aside(connection)
            if found is None and waiting and stuck:
                found = Broken(head.seq + 1, "unsealed")
            return Verdict(start, head, walk.seq - start.seq, waiting, first, found)

    async def _sealed(self) -> tuple[int, bool]:
        """How many rows wait all the same, and whether they must go on waiting; else they are of just now."""
        stuck = False
        try:
            await self._seals.seal(patient=True)
        except DependencyFailed:  # its anchors, or the store: whoever reads next finds out which
            stuck = True
        waiting = select(func.count()).select_from(audit_event).where(audit_event.c.seq.is_(None))
        async with self._database.reading() as connection:
            return (await connection.execute(waiting)).scalar_one(), stuck

    async def _ends(self, connection: AsyncConnection) -> tuple[Anchor, Anchor] | Broken:
        try:
            start = await self._seals.anchors.read(connection, "start")
        except DependencyFailed:
            return Broken(1, "forged")
        if start is None:
            return Broken(1, "truncated")
        try:
            head = await self._seals.anchors.read(connection, "head")
        except DependencyFailed:
            return await self._last(connection, "forged")
        return await self._last(connection, "truncated") if head is None else (start, head)

    async def _last(self, connection: AsyncConnection, what: What) -> Broken:
        last = (await connection.execute(select(func.max(audit_event.c.seq)))).scalar() or 0
        return Broken(max(last, 0) + 1, what)

    async def _pages(self, connection: AsyncConnection, after: int) -> AsyncIterator[Sequence[Link]]:
        while True:
            statement = select(audit_event).where(audit_event.c.seq > after).order_by(audit_event.c.seq).limit(PAGE)
            rows = [Link.of(row) for row in await connection.execute(statement)]
            if rows:
                yield rows
            if len(rows) < PAGE:
                return
            after = rows[-1].seq or 0

    async def _set_aside(self, connection: AsyncConnection) -> Broken | None:
        """Rows that the sealer would not seal."""
        aside = select(audit_event.c.id).where(audit_event.c.seq <= 0).order_by(audit_event.c.id).limit(1)
        row = (await connection.execute(aside)).scalar()
        return None if row is None else Broken(-abs(row), "forged")

    async def _skipped(
        self, connection: AsyncConnection, which: ColumnElement[bool], limit: int | None
    ) -> ColumnElement[bool]:
        """The `limit` newest."""
        if limit is None:
            return true()
        newest = select(audit_event.c.id).where(which).order_by(audit_event.c.id.desc())
        first = (await connection.execute(newest.offset(limit).limit(1))).scalar()
        return true() if first is None else audit_event.c.id > first


def matching(wanted: Wanted) -> ColumnElement[bool]:
    column, found = audit_event.c, list[ColumnElement[bool]]()
    if wanted.account is not None:
        found.append(or_(column.account_id == wanted.account, column.actor == f"account:{wanted.account}"))
    if wanted.kind is not None:
        found.append(column.kind == wanted.kind)
    if wanted.since is not None:
        found.append(column.at >= wanted.since)
    if wanted.until is not None:
        found.append(column.at < wanted.until)
    if wanted.before is not None:
        found.append(column.id < wanted.before)
    return and_(true(), *found)  # whatever id somebody has given it: what a list leaves out is hidden


def _walked(walk: Walk, links: Sequence[Link], known: Place | None) -> Broken | None:
    for link in links:
        found = walk.step(link) or _differs(link, known)
        if found is not None:
            return found
    return None


def _differs(link: Link, known: Place | None) -> Broken | None:
    if known is None or link.seq != known[0] or link.mac.hex() == known[1]:
        return None
    return Broken(link.seq, "other_head")


def _unseen(known: Place | None, start: Anchor, head: Anchor) -> Broken | None:
    """A head that the trail does not reach. One that retention has removed is no fault."""
    if known is None or known[0] <= head.seq:
        return _differs_at(known, start)
    return Broken(head.seq + 1, "other_head")


def _differs_at(known: Place | None, start: Anchor) -> Broken | None:
    if known is None or known[0] != start.seq or start.mac.hex() == known[1]:
        return None
    return Broken(start.seq, "other_head")
