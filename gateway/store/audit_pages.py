"""The audit trail in pages, newest first, and one word about it: as the admin API reads it."""

import json

from sqlalchemy import select

from gateway.identity.model import Mark, Page
from gateway.identity.trail import Entry, Verdict
from gateway.store.audit_read import Trail, Wanted, matching
from gateway.store.chain import Link
from gateway.store.database import Database
from gateway.store.tables import audit_event


class AuditPages:
    def __init__(self, database: Database, trail: Trail) -> None:
        self._database = database
        self._trail = trail

    async def page(
        self, limit: int, after: Mark | None, kind: str | None = None, account_id: str | None = None
    ) -> Page[Entry]:
        wanted = Wanted(account_id, kind, before=None if after is None else int(after[0]))
        newest = select(audit_event).where(matching(wanted)).order_by(audit_event.c.id.desc()).limit(limit + 1)
        async with self._database.reading() as connection:
            found = [_entry(Link.of(row)) for row in await connection.execute(newest)]
        return Page(found[:limit], (found[limit - 1].id,) if len(found) > limit else None)

    async def verify(self) -> Verdict:
        found = await self._trail.verify(lambda _more, _of: None)
        head = "" if found.head is None else found.head.mac.hex()
        detail = "" if found.broken is None else f"row {found.broken.seq}: {found.says}"
        return Verdict(found.broken is None, found.rows, head, detail)


def _entry(link: Link) -> Entry:
    said = link.entry
    return Entry(
        link.id, said.at, said.kind, said.actor, said.account_id, said.subject, said.outcome, said.reason,
        said.dialect, said.ip, said.request_id, _detail(said.detail),
    )  # fmt: skip


def _detail(text: str) -> dict[str, str | int | float | bool | None]:
    """What somebody else has written there is nobody's detail; `verify` tells of it."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
