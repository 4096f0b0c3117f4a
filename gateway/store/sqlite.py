"""The reads of a cold authentication, on the standard library's sqlite3: one hand-written query each.

A point read takes about 12 us on the spot and 1.5 ms through an ORM and another thread, so the query runs directly in
the coroutine. It never waits there: a locked database is asked again in a thread.
"""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import quote

from gateway.errors import DependencyFailed
from gateway.identity.model import Account, Grant, Licence, Owner, Ownership, Revocation, Standing
from gateway.store.file import Inode, inode

Row = tuple[Any, ...]

PATIENCE = 2.0  # seconds to wait for a lock
PATIENT = 64  # reads that may wait at once; each holds a client's connection
HOLDERS = 1024  # accounts whose last row is remembered with what was made of it; about 10 KiB each with ten licences

Holder = tuple[Account, tuple[Licence, ...], tuple[Ownership, ...]]

# one row: 15 columns of the account, licences and ownerships as JSON arrays of arrays, 17 columns of the grant
ACCOUNT = """
  a.id, a.name, a.kind, a.status, a.approved, a.archived, a.deleted, a.is_staff, a.is_manager,
  a.user_id, a.username, a.first_name, a.last_name, a.num,
  (SELECT e.address FROM email e WHERE e.account_id = a.id AND e.is_primary AND e.verified_at IS NOT NULL),
"""
GRANT = """
  g.id, g.kind, g.presentation, g.created_at, g.expires_at, g.tenant_id, g.role, g.permission, g.name, g.dialect,
  g.scopes, g.aal, g.amr, g.restricted, g.last_used_at, g.revoked_at, g.idle
"""
HOLDINGS = """
  (SELECT json_group_array(json_array(t.account_id, ta.name, t.id, r.slug, r.id, ra.permission, ra.accepted))
     FROM role_assignment ra JOIN tenant t ON t.id = ra.tenant_id JOIN account ta ON ta.id = t.account_id
     JOIN role r ON r.id = ra.role_id WHERE ra.account_id = a.id),
  (SELECT json_group_array(json_array(t.id, t.name, o.since))
     FROM tenant_owner o JOIN tenant t ON t.id = o.tenant_id WHERE o.account_id = a.id),
"""
FROM_GRANT = f"SELECT {ACCOUNT} {HOLDINGS} {GRANT} FROM grant_ g JOIN account a ON a.id = g.account_id"  # noqa: S608
BY_GRANT = f"{FROM_GRANT} WHERE g.id = ?"
BY_SECRET = f"{FROM_GRANT} WHERE g.secret_hash = ?"
BY_SUBJECT = (
    f"SELECT {ACCOUNT} {HOLDINGS} NULL FROM external_identity x JOIN account a ON a.id = x.account_id"  # noqa: S608
    " WHERE x.issuer = ? AND x.subject = ?"
)
SINCE = "SELECT id, kind, subject FROM revocation WHERE id > ? ORDER BY id"
LATEST = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'revocation'), 0)"


class Provision(Protocol):
    async def __call__(self, issuer: str, subject: str, email: str, name: str, /) -> None: ...


class Reader:
    """One connection that only reads, and never waits. patience: seconds that a read may wait for a lock."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._connection: sqlite3.Connection | None = None
        self._inode: Inode | None = None
        self._waiting = 0
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="store-read")

    async def rows(self, statement: str, values: tuple[object, ...] = ()) -> list[Row]:
        """Raises DependencyFailed("store_unavailable")."""
        try:
            return self._open().execute(statement, values).fetchall()
        except sqlite3.Error as error:
            if not is_busy(error):
                self.close()
                raise DependencyFailed("store_unavailable", str(error)) from error
        return await self._patiently(statement, values)

    def _open(self) -> sqlite3.Connection:
        # SQLite goes on reading a file that was replaced or deleted, and would answer from the past
        found = inode(self._path)
        if self._connection is not None and found == self._inode:
            return self._connection
        self.close()
        self._connection = connect(self._path, 0)
        self._inode = found
        return self._connection

    async def _patiently(self, statement: str, values: tuple[object, ...]) -> list[Row]:
        if self._waiting >= PATIENT:
            raise DependencyFailed("store_unavailable", "too many reads wait for a lock", 1)
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(0)  # the timeout is for the task that goes on from here (`identity.ports`)
            async with asyncio.timeout(self._patience):
                return await loop.run_in_executor(self._threads, self._read, statement, values)
        except (sqlite3.Error, TimeoutError) as error:
            raise DependencyFailed("store_unavailable", "the database stays locked", 1) from error
        finally:
            self._waiting -= 1

    def _read(self, statement: str, values: tuple[object, ...]) -> list[Row]:
        connection = connect(self._path, self._patience)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def shutdown(self) -> None:
        self.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def address(path: Path) -> str:
    """Of a file that is there: none is made."""
    return f"file:{quote(str(path))}?mode=rw"


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    # mode=ro would be unable to recover the log that a crash left behind, so it is query_only that forbids writing
    connection = sqlite3.connect(address(path), timeout, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte: extended codes say why
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class SqliteDirectory:
    """The Directory port. `provision` writes, and is handed in.

    The row is read each time. Where all of it is as it was before, so is what is made of it: the same values.
    """

    def __init__(self, reader: Reader, provision: Provision) -> None:
        self._reader = reader
        self._provision = provision
        self._holder = lru_cache(HOLDERS)(to_holder)

    async def by_grant(self, grant_id: str) -> Standing | None:
        return self._first(await self._reader.rows(BY_GRANT, (grant_id,)))

    async def by_secret(self, digest: bytes) -> Standing | None:
        return self._first(await self._reader.rows(BY_SECRET, (digest,)))

    async def by_subject(self, issuer: str, subject: str) -> Standing | None:
        return self._first(await self._reader.rows(BY_SUBJECT, (issuer, subject)))

    async def provision(self, issuer: str, subject: str, email: str, name: str) -> Standing:
        await self._provision(issuer, subject, email, name)
        standing = await self.by_subject(issuer, subject)
        if standing is None:
            raise DependencyFailed("store_unavailable", "an account that was just made is gone")
        return standing

    def _first(self, rows: list[Row]) -> Standing | None:
        if not rows:
            return None
        row = rows[0]
        account, licences, ownerships = self._holder(row[:17])
        return Standing(account, None if row[17] is None else to_grant(account.id, row[17:]), licences, ownerships)


class SqliteRevocations:
    """The Revocations port. `prune` writes, and is handed in."""

    def __init__(self, reader: Reader, prune: Callable[[float], Awaitable[None]]) -> None:
        self._reader = reader
        self._prune = prune

    async def since(self, last_id: int) -> Sequence[Revocation]:
        return [Revocation(*row) for row in await self._reader.rows(SINCE, (last_id,))]

    async def latest(self) -> int:
        return cast("int", (await self._reader.rows(LATEST))[0][0])

    async def prune(self, before: float) -> None:
        await self._prune(before)


def to_holder(row: Row) -> Holder:
    licences = tuple(to_licence(held) for held in sorted(json.loads(row[15])))
    ownerships = tuple(Ownership(*owned) for owned in sorted(json.loads(row[16])))
    return to_account(row), licences, ownerships


def to_licence(held: list[Any]) -> Licence:
    account_id, account_name, tenant_id, role, role_id, permission, accepted = held
    return Licence(account_id, account_name, tenant_id, role, role_id, permission, bool(accepted))


def to_account(row: Row) -> Account:
    key, name, kind, status, approved, archived, deleted, staff, manager, user, username, given, family = row[:13]
    num, email = row[13:15]
    owner = Owner(user, email or "", status == "active", username, given, family)
    flags = (bool(approved), bool(archived), bool(deleted), bool(staff), bool(manager))
    return Account(key, name, owner, kind, status, *flags, num)


def to_grant(account_id: str, row: Row) -> Grant:
    key, kind, presentation, created, expires, tenant, role, permission, name, dialect = row[:10]
    scopes, aal, amr, restricted, last_used, revoked, idle = row[10:]
    return Grant(
        id=key,
        account_id=account_id,
        kind=kind,
        presentation=presentation,
        created_at=created,
        expires_at=expires,
        tenant_id=tenant,
        role=role,
        permission=permission,
        name=name,
        dialect=dialect,
        scopes=frozenset(scopes.split()),
        aal=aal,
        amr=tuple(amr.split()),
        restricted=bool(restricted),
        last_used_at=last_used,
        revoked_at=revoked,
        idle=idle,
    )
