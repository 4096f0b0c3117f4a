"""The audit trail's rows, written in the last statements of the transaction that they tell of.

A row says what was done (`noted`, by the author of the change) and who did it (`identity.audit.acting`). It has no
place in the chain yet: that would be one lock that all logins wait for. `store.audit_seal` gives it one, in a second.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import false, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.identity.audit import MAX_TEXT, Detail, Event, Scope
from gateway.store.chain import Chain, Entry
from gateway.store.database import Database
from gateway.store.notes import noted
from gateway.store.seal import Sealer
from gateway.store.tables import audit_event

MAX_DETAIL = 1024  # characters of JSON; what is longer is left out, and says so
MAX_ID = 36


class Scribe:
    """Makes rows of events, and puts them down."""

    def __init__(self, sealer: Sealer, clock: Clock) -> None:
        self._chain = Chain(sealer)
        self._clock = clock

    async def write(self, connection: AsyncConnection, events: Sequence[tuple[Event, Scope]], blank: bool) -> None:
        """blank: the same work where there is nothing to tell (`notes.nothing_noted`)."""
        if events:
            await connection.execute(insert(audit_event), [self._row(event, by) for event, by in events])
        elif blank:
            row = self._row(Event("link_sent"), Scope())
            none = select(*(literal(value) for value in row.values())).where(false())
            await connection.execute(insert(audit_event).from_select(list(row), none))

    def _row(self, event: Event, by: Scope) -> dict[str, Any]:
        entry = self._entry(event, by)
        return {name: getattr(entry, name) for name in Entry.__slots__} | {"tag": self._chain.tag(entry)}

    def _entry(self, event: Event, by: Scope) -> Entry:
        return Entry(
            uid=self._clock.uuid4(),
            at=float(self._clock.now()),
            kind=event.kind,
            outcome=event.outcome,
            reason=_text(event.reason),
            actor=_text(event.actor or by.actor),
            credential=_text(by.credential, MAX_ID),
            account_id=None if event.account_id is None else _text(event.account_id, MAX_ID),
            subject=_text(event.subject),
            dialect=_text(by.dialect, 32),
            ip=_text(by.address, 64),
            agent=_text(by.agent),
            request_id=_text(by.request_id, 64),
            detail=_json(event.detail),
        )


class Audit:
    """`identity.audit.Audit`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, event: Event) -> None:
        async with self._database.writing() as connection:
            noted(connection, event)

    async def record_all(self, events: Sequence[tuple[Event, Scope]]) -> None:
        """Of several, by whom each was."""
        async with self._database.writing() as connection:
            for event, by in events:
                noted(connection, event, by)


def _text(text: str, longest: int = MAX_TEXT) -> str:
    """Bounded, and of what every database can keep."""
    return "".join(letter for letter in text[:longest] if letter.isprintable())


def _json(detail: Detail) -> str:
    text = json.dumps(dict(sorted(detail.items())), separators=(",", ":"))
    return text if len(text) <= MAX_DETAIL else '{"left_out":"too long"}'
