"""Every column that holds sealed values, and re-encrypting them. A test holds the list to the tables.

Some hold MACs of short secrets, which are sealed from the first change of the master key on (`seal.Sealer.cover`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    LargeBinary,
    Row,
    Select,
    and_,
    bindparam,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import DependencyFailed
from gateway.store import seal
from gateway.store.seal import Sealer
from gateway.store.tables import challenge, factor, mac_key, outbox, recovery_code, signing_key, telegram_bot

BATCH = 200  # values in a transaction: on SQLite others wait for its end, which is a few milliseconds


@dataclass(frozen=True, slots=True)
class Sealed:
    """key: of the row, whose first value is what `place` takes. covers: it holds MACs."""

    column: Column[Any]
    key: tuple[Column[Any], ...]
    place: Callable[[Any], str]
    covers: bool = False

    def not_under(self, version: int) -> ColumnElement[bool]:
        newest = literal(seal.header(version), LargeBinary)
        return and_(self.column.is_not(None), func.substr(self.column, 1, len(seal.header(version))) != newest)


@dataclass(frozen=True, slots=True)
class Passed:
    """last: the key of the last row, None at the end. done: how many were sealed anew. unread: places of the others."""

    last: tuple[Any, ...] | None
    done: int
    unread: Sequence[str]


SEALED = (
    Sealed(signing_key.c.private_enc, (signing_key.c.kid,), seal.signing_place),
    Sealed(mac_key.c.secret_enc, (mac_key.c.version,), seal.mac_place),
    Sealed(telegram_bot.c.token_enc, (telegram_bot.c.tenant_id,), seal.bot_place),
    Sealed(telegram_bot.c.secret_enc, (telegram_bot.c.tenant_id,), seal.webhook_place),
    Sealed(factor.c.secret_enc, (factor.c.id,), seal.factor_place),
    Sealed(recovery_code.c.mac, (recovery_code.c.account_id, recovery_code.c.mac), seal.recovery_place, covers=True),
    Sealed(challenge.c.draft_enc, (challenge.c.id,), seal.draft_place),
    Sealed(challenge.c.code_mac, (challenge.c.id,), seal.code_place, covers=True),
    Sealed(outbox.c.payload_enc, (outbox.c.id,), seal.outbox_place),
)


async def left(connection: AsyncConnection, version: int) -> int:
    """How many values are not under this data key."""
    counts = [select(func.count()).select_from(one.column.table).where(one.not_under(version)) for one in SEALED]
    return sum([(await connection.execute(count)).scalar_one() for count in counts])


async def reseal(
    connection: AsyncConnection, one: Sealed, sealer: Sealer, version: int, after: tuple[Any, ...] | None
) -> Passed:
    """A batch of a column's values under this data key, in the order of keys, after that one.

    What somebody else is just writing is passed over (PostgreSQL: nobody waits here, so nothing locks up), for another
    round.
    """
    which = one.not_under(version)
    if after is not None:
        which = and_(
            which,
            tuple_(*one.key) > tuple_(*(literal(value, key.type) for value, key in zip(after, one.key, strict=True))),
        )
    columns = [key.label(f"key_{number}") for number, key in enumerate(one.key)]
    batch: Select[Any] = select(*columns, one.column.label("value")).where(which).order_by(*one.key).limit(BATCH)
    rows = (await connection.execute(batch.with_for_update(skip_locked=True))).all()
    values, unread = [], []
    for row in rows:
        try:
            values.append(_resealed(one, row, sealer, version))
        except DependencyFailed:
            unread.append(one.place(row[0]))
    if values:
        same = [key == bindparam(f"key_{number}") for number, key in enumerate(one.key)]
        change = update(one.column.table).where(*same, one.column == bindparam("old", type_=LargeBinary))
        await connection.execute(change.values({one.column: bindparam("new", type_=LargeBinary)}), values)
    return Passed(tuple(rows[-1][:-1]) if rows else None, len(values), unread)


def _resealed(one: Sealed, row: Row[Any], sealer: Sealer, version: int) -> dict[str, Any]:
    place, old = one.place(row[0]), row.value
    secret = sealer.uncover(old, place) if one.covers else sealer.open(old, place)
    return dict(row._mapping) | {"old": old, "new": sealer.seal(secret, place, version)}
