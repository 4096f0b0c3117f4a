"""What a transaction is going to tell the audit trail, kept with its connection until its last statements
(`store.audit`). A transaction that fails takes its notes with it.
"""

from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.identity.audit import Event, Scope, scope

_NOTES = "gateway_audit"  # in the `info` of a connection


class Writer(Protocol):
    """`store.audit.Scribe`."""

    async def write(self, connection: AsyncConnection, events: list[tuple[Event, Scope]], blank: bool) -> None: ...


@dataclass(slots=True)
class _Notes:
    events: list[tuple[Event, Scope]] = field(default_factory=list)
    blank: bool = False


def begin(connection: AsyncConnection) -> None:
    """Nothing is left of a transaction that failed."""
    connection.info[_NOTES] = _Notes()


def noted(connection: AsyncConnection, event: Event, by: Scope | None = None) -> None:
    """A row, with the commit of this transaction. by: None for who acts now."""
    connection.info[_NOTES].events.append((event, scope() if by is None else by))


def nothing_noted(connection: AsyncConnection) -> None:
    """A row's statement without a row: what a decoy does must take as long as what is real."""
    connection.info[_NOTES].blank = True


async def write(connection: AsyncConnection, writer: Writer | None) -> None:
    notes: _Notes = connection.info.pop(_NOTES)
    if notes.events or notes.blank:
        assert writer is not None, "a change was made where no audit trail is kept"
        await writer.write(connection, notes.events, notes.blank)
