"""The two anchors of the audit trail's chain: read, written, and made, once.

They are made with the first keys of an empty store, or when a store gets the trail's tables. After that nobody makes
them: where they are missing somebody has removed them, and a new pair would let what is left be sealed as a whole.
"""

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import DependencyFailed
from gateway.store.chain import GENESIS, Anchor, AnchorName, Chain
from gateway.store.locks import hold
from gateway.store.tables import account, audit_anchor

BROKEN = "the audit trail cannot be sealed: its {} is missing or was altered; see `gateway audit verify`"
NAMES: tuple[AnchorName, ...] = ("start", "head")


class Anchors:
    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    async def both(self, connection: AsyncConnection) -> tuple[Anchor, Anchor]:
        """start and head. Raises DependencyFailed when one is missing, or is not ours."""
        start, head = await self.read(connection, "start"), await self.read(connection, "head")
        if start is None or head is None:
            raise DependencyFailed("store_unavailable", BROKEN.format("record of its ends"))
        return start, head

    async def read(self, connection: AsyncConnection, name: AnchorName) -> Anchor | None:
        """None when there is none. Raises DependencyFailed when it is not ours."""
        row = (await connection.execute(select(audit_anchor).where(audit_anchor.c.name == name))).first()
        if row is None:
            return None
        found = Anchor.of(name, row)
        if not self._chain.is_anchor(found, row.tag):
            raise DependencyFailed("store_unavailable", BROKEN.format(name))
        return found

    async def put(self, connection: AsyncConnection, anchor: Anchor) -> None:
        anchor = self._chain.renewed(anchor)
        await connection.execute(delete(audit_anchor).where(audit_anchor.c.name == anchor.name))
        row = {"name": anchor.name, "seq": anchor.seq, "mac": anchor.mac, "at": anchor.at, "version": anchor.version}
        await connection.execute(insert(audit_anchor).values(row | {"tag": self._chain.anchor_tag(anchor)}))

    async def begin(self, connection: AsyncConnection) -> None:
        """Unless there are some."""
        await hold(connection, "audit")
        if not (await connection.execute(select(func.count()).select_from(audit_anchor))).scalar_one():
            for name in NAMES:
                await self.put(connection, Anchor(name, 0, GENESIS, 0.0))

    async def begin_with_keys(self, connection: AsyncConnection) -> None:
        """The same with a store's first keys. One that has people had keys before: somebody has removed these."""
        if not (await connection.execute(select(func.count()).select_from(account))).scalar_one():
            await self.begin(connection)
