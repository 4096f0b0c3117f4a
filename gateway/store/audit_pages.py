"""The audit trail in pages, newest first, and one word about it: as the admin API reads it."""

import asyncio
import json

from sqlalchemy import select

from gateway.errors import RequestRejected
from gateway.identity.model import Mark, Page
from gateway.identity.trail import Entry, Verdict
from gateway.store.audit_read import Trail, Wanted, matching
from gateway.store.chain import Link
from gateway.store.database import Database
from gateway.store.tables import audit_event

LONGEST = 20.0  # seconds: half a million rows where nothing else is done; and no client waits for longer
END = 253402300800.0  # of the year 9999, after which no time can be written
AGAIN = 5  # seconds until the walk that is under way may be over

BUSY = "the trail is being verified for somebody else"
LATE = "the trail is too long to be verified within a request: use `gateway audit verify`"


class AuditPages:
    """longest: seconds of `verify`."""

    def __init__(self, database: Database, trail: Trail, longest: float = LONGEST) -> None:
        self._database = database
        self._trail = trail
        self._longest = longest
        self._walking = False

    async def page(
        self, limit: int, after: Mark | None, kind: str | None = None, account_id: str | None = None
    ) -> Page[Entry]:
        wanted = Wanted(account_id, kind, before=None if after is None else int(after[0]))
        newest = select(audit_event).where(matching(wanted)).order_by(audit_event.c.id.desc()).limit(limit + 1)
        async with self._database.reading() as connection:
            found = [_entry(Link.of(row)) for row in await connection.execute(newest)]
        return Page(found[:limit], (found[limit - 1].id,) if len(found) > limit else None)

    async def verify(self) -> Verdict:
        """One walk at a time: each reads the whole trail. Raises RequestRejected("overloaded"), and
        DependencyFailed."""
        if self._walking:
            raise RequestRejected("overloaded", BUSY, AGAIN)
        self._walking = True
        try:
            async with asyncio.timeout(self._longest):
                return await self._verified()
        except TimeoutError as error:
            raise RequestRejected("overloaded", LATE, 60) from error
        finally:
            self._walking = False

    async def _verified(self) -> Verdict:
        found = await self._trail.verify()
        head = "" if found.head is None else found.head.mac.hex()
        detail = "" if found.broken is None else f"row {found.broken.seq}: {found.says}"
        return Verdict(found.broken is None, found.rows, head, detail, found.waiting)


def _entry(link: Link) -> Entry:
    said = link.entry
    return Entry(
        link.id, said.at if 0 <= said.at < END else 0.0, _text(said.kind), _text(said.actor),
        None if said.account_id is None else _text(said.account_id), _text(said.subject), _text(said.outcome),
        _text(said.reason), _text(said.dialect), _text(said.ip), _text(said.request_id), _detail(said.detail),
    )  # fmt: skip


def _text(value: object) -> str:
    """SQLite keeps whatever somebody writes there."""
    return value if isinstance(value, str) else repr(value)


def _detail(text: str) -> dict[str, str | int | float | bool | None]:
    """What somebody else has written there is nobody's detail; `verify` tells of it."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
