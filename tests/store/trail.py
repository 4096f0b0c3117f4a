"""The audit trail as its tests read it, and as somebody with the database changes it."""

from dataclasses import dataclass

from gateway.identity.audit import Event
from gateway.store.audit_read import Place, Verdict, Wanted
from gateway.store.chain import Link

from .world import World, change

PLAIN = Event("cache_purged")


@dataclass
class Book:
    world: World

    async def write(self, count: int, event: Event = PLAIN) -> None:
        for _ in range(count):
            await self.world.store.changes().audit.record(event)

    async def seal(self) -> None:
        await self.world.store.changes().seals.seal(patient=True)

    async def rows(self, wanted: Wanted = Wanted()) -> list[Link]:  # noqa: B008 - it is frozen
        return [row async for row in self.world.store.changes().trail.list(wanted)]

    async def kinds(self) -> list[str]:
        return [row.entry.kind for row in await self.rows()]

    async def verify(self, known: Place | None = None, since: Place | None = None) -> Verdict:
        return await self.world.store.changes().trail.verify(known, since)

    async def fault(self, known: Place | None = None, since: Place | None = None) -> tuple[int, str] | None:
        """Of the first row that is not as it must be."""
        broken = (await self.verify(known, since)).broken
        return None if broken is None else (broken.seq, broken.what)

    async def place(self) -> Place:
        head = await self.world.store.changes().trail.head()
        return head.seq, head.mac.hex()

    async def tamper(self, *statements: str) -> None:
        for statement in statements:
            await change(self.world.url, statement)


FORGED = (
    "INSERT INTO audit_event (uid, seq, at, kind, outcome, reason, actor, credential, account_id, subject, dialect, ip,"
    " agent, request_id, detail, tag, mac) SELECT 'forged', {seq}, at, kind, outcome, reason, actor, credential,"
    " account_id, subject, dialect, ip, agent, request_id, detail, tag, mac FROM audit_event WHERE seq = 5"
)


def literal(value: object, url: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'" if url.startswith("sqlite") else f"'\\x{value.hex()}'::bytea"
    return repr(value) if isinstance(value, int | float) else f"'{value}'".replace(":", "\\:")
