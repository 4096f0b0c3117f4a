"""The outbox: mails stand here from the transaction that causes them until a server has taken them.

What a mail says (links and codes are in it) is sealed, and goes as soon as the mail has gone or was given up. Sending
is `mail`; whether anything waits is `Store.mail_is_due`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from sqlalchemy import Row, Update, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity.letters import Letter, LetterKind
from gateway.store.database import Database
from gateway.store.seal import KeyUnknown, Sealer, outbox_place
from gateway.store.tables import outbox

KINDS: frozenset[str] = frozenset(get_args(LetterKind))
WAITING = outbox.c.sent_at.is_(None) & outbox.c.failed_at.is_(None)
PAYLOAD = 512  # bytes: payloads are padded to a multiple, so that a row's size does not tell a decoy from a mail


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail under a lease. letter: None when the row cannot be read; it never will be. created_at: seconds since the
    epoch. tries: with this one, so from 1; it tells this lease from a later one."""

    id: str
    template: str
    letter: Letter | None
    created_at: float
    tries: int


URGENT = ("magic_link", "password_reset", "login_approval")


async def post(connection: AsyncConnection, sealer: Sealer, clock: Clock, letter: Letter | None) -> None:
    """Put a letter into the outbox, inside the caller's transaction; None is none.

    A decoy is written with the same work, as one that has been sent: nobody takes it, and `prune` removes it.
    """
    if letter is None:
        return
    key, now = clock.uuid4(), clock.now()
    row = {
        "id": key,
        "template": letter.kind,
        "payload_enc": sealer.seal(_to_payload(letter), outbox_place(key)),
        "created_at": now,
        "due_at": now,
        "tries": 0,
        "sent_at": now if letter.decoy else None,
    }
    await connection.execute(insert(outbox).values(row))


class Outbox:
    """The port of `mail`. Each call raises DependencyFailed("store_unavailable").

    What a worker says of a mail counts only while its lease is the last one.
    """

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def take(self, most: int, lease: float) -> Sequence[Taken]:
        """Mails that are due: first those that somebody waits for, then the oldest.

        lease: seconds in which nobody else takes them.
        """
        now = self._clock.now()
        statement = (
            select(outbox)
            .where(WAITING, outbox.c.due_at <= now)
            .order_by(~outbox.c.template.in_(URGENT), outbox.c.due_at)
            .limit(most)
            .with_for_update(skip_locked=True)  # what another worker is taking is its own
        )
        async with self._database.writing() as connection:
            rows = (await connection.execute(statement)).all()
            return [self._to_taken(row) for row in rows if await _leased(connection, row, now + lease)]

    async def sent(self, letter_id: str) -> None:
        """Whoever's lease it is by now: a server has it."""
        change = update(outbox).where(outbox.c.id == letter_id, WAITING)
        async with self._database.writing() as connection:
            await connection.execute(change.values(sent_at=self._clock.now(), payload_enc=None, reason=None))

    async def retry(self, letter_id: str, tries: int, at: float, reason: str) -> None:
        """at: seconds since the epoch. reason: without an address, a link or a code."""
        async with self._database.writing() as connection:
            await connection.execute(_of_lease(letter_id, tries).values(due_at=at, reason=reason))

    async def give_up(self, letter_id: str, tries: int, reason: str) -> None:
        """reason: without an address, a link or a code."""
        change = _of_lease(letter_id, tries)
        async with self._database.writing() as connection:
            await connection.execute(change.values(failed_at=self._clock.now(), payload_enc=None, reason=reason))

    async def prune(self, before: float) -> None:
        """Delete what was posted before this, in seconds since the epoch: sent, given up, or a decoy."""
        async with self._database.writing() as connection:
            await connection.execute(delete(outbox).where(outbox.c.created_at < before, ~WAITING))

    def _to_taken(self, row: "Row[tuple[object, ...]]") -> Taken:
        letter = None
        if row.template in KINDS and row.payload_enc is not None:
            letter = self._opened(row.id, row.template, row.payload_enc)
        return Taken(row.id, row.template, letter, row.created_at, row.tries + 1)

    def _opened(self, key: str, kind: LetterKind, payload: bytes) -> Letter | None:
        try:
            said = json.loads(self._sealer.open(payload, outbox_place(key)))
            return Letter(kind, said["to"], said["values"])
        except KeyUnknown:
            raise  # nothing is leased: it is taken again when the key is read
        except (DependencyFailed, ValueError, KeyError, TypeError):
            return None


async def _leased(connection: AsyncConnection, row: "Row[tuple[object, ...]]", until: float) -> bool:
    """The guard holds where a transaction does not lock out the others from its start."""
    mine = update(outbox).where(outbox.c.id == row.id, WAITING, outbox.c.due_at == row.due_at)
    return (await connection.execute(mine.values(due_at=until, tries=row.tries + 1))).rowcount == 1


def _of_lease(letter_id: str, tries: int) -> Update:
    return update(outbox).where(outbox.c.id == letter_id, WAITING, outbox.c.tries == tries)


def _to_payload(letter: Letter) -> bytes:
    text = json.dumps({"to": letter.to, "values": dict(letter.values)}).encode()
    return text.ljust(-(-len(text) // PAYLOAD) * PAYLOAD)  # spaces, which JSON passes over
