"""What a transaction locks on PostgreSQL, so that what it has read stays true until it commits. On SQLite a transaction
that writes holds the only write lock there is, and nothing here does anything.

The order, which keeps any two transactions from waiting for each other: the account, then `identity`, `accounts`, then
the other names, then rows of grants by id, then revocations (which `Database.writing` writes last).
"""

from hashlib import sha256
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.tables import account

Name = Literal[
    "identity",  # an identity of an external issuer: who has it
    "accounts",  # which accounts there are: their numbers, and whether there is a first one
    "address",  # who has proved an address
    "challenge",  # the live challenge of a purpose for an address
    "tenant",  # who is in it, owns it, is invited to it; shared by what only adds to that
    "role",  # a slug
    "bot",  # of a tenant
    "keys",  # which keys there are
    "migrations",
    "audit",  # who seals the trail
]


async def hold_account(connection: AsyncConnection, account_id: str) -> None:
    """Alone with one account: its status, password, factors, epoch, roles and grants. One that is not there is none.

    Rows that only refer to the account can be written meanwhile (FOR NO KEY UPDATE): a challenge, say.
    """
    if _is_needed(connection):
        mine = select(account.c.id).where(account.c.id == account_id)
        await connection.execute(mine.with_for_update(key_share=True))


async def hold(connection: AsyncConnection, name: Name, *which: str, shared: bool = False) -> None:
    """Alone with what the name says. shared: with others that share it, until somebody wants to be alone."""
    if _is_needed(connection):
        lock = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
        await connection.execute(select(lock(_number(name, *which))))


def _is_needed(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "postgresql"


def _number(*names: str) -> int:
    """Advisory locks are numbers of 64 bits; two names that share one wait for each other, and that is all."""
    return int.from_bytes(sha256("\0".join(names).encode(errors="replace")).digest()[:8], signed=True)


async def try_hold(connection: AsyncConnection, name: Name) -> bool:
    """The same, unless somebody else has it just now."""
    if not _is_needed(connection):
        return True
    return bool((await connection.execute(select(func.pg_try_advisory_xact_lock(_number(name))))).scalar())
