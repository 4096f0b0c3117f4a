"""What a cold authentication reads, whatever the engine: rows as they come, and what is made of them.

Each engine has its own `Statements` (the SQL differs where holdings become JSON) and its own `Reader`.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, cast

from gateway.errors import DependencyFailed
from gateway.identity.model import Account, Grant, Licence, Owner, Ownership, Revocation, Standing

Row = tuple[Any, ...]

HOLDERS = 1024  # accounts whose last row is remembered with what was made of it; about 10 KiB each with ten licences

Holder = tuple[Account, tuple[Licence, ...], tuple[Ownership, ...]]


class Reader(Protocol):
    """Each call raises DependencyFailed("store_unavailable")."""

    async def rows(self, statement: str, values: tuple[object, ...] = ()) -> list[Row]: ...

    def usage(self) -> Mapping[str, int]:
        """open, idle: connections. calls: under way, or waiting for a connection or a lock."""
        ...

    async def aclose(self) -> None: ...


class Timed:
    """A Reader whose calls are measured. took: told the seconds of each, also where it failed."""

    def __init__(self, reader: Reader, monotonic: Callable[[], float], took: Callable[[float], object]) -> None:
        self._reader = reader
        self._monotonic = monotonic
        self._took = took

    async def rows(self, statement: str, values: tuple[object, ...] = ()) -> list[Row]:
        began = self._monotonic()
        try:
            return await self._reader.rows(statement, values)
        finally:
            self._took(self._monotonic() - began)

    def usage(self) -> Mapping[str, int]:
        return self._reader.usage()

    async def aclose(self) -> None:
        await self._reader.aclose()


class Provision(Protocol):
    async def __call__(self, issuer: str, subject: str, email: str, name: str, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Statements:
    """by_grant, by_secret, by_subject: one row of 15 columns of the account, licences and ownerships as JSON arrays of
    arrays, then 17 columns of the grant, or NULL. since, due: one value each. has_tables: a row if `revision` may be
    asked."""

    by_grant: str
    by_secret: str
    by_subject: str
    since: str
    due: str
    has_tables: str
    latest: str = "SELECT id FROM revocation_latest"
    revision: str = "SELECT version_num FROM alembic_version"
    unsealed: str = "SELECT EXISTS (SELECT 1 FROM audit_event WHERE seq IS NULL)"
    oldest: str = "SELECT at FROM audit_event WHERE seq > 0 ORDER BY seq LIMIT 1"
    has_people: str = "SELECT 1 FROM account WHERE kind = 'human' LIMIT 1"


ACCOUNT = """
  a.id, a.name, a.kind, a.status, a.approved, a.archived, a.deleted, a.is_staff, a.is_manager,
  a.user_id, a.username, a.first_name, a.last_name, a.num,
  (SELECT e.address FROM email e WHERE e.account_id = a.id AND e.is_primary AND e.verified_at IS NOT NULL),
"""
GRANT = """
  g.id, g.kind, g.presentation, g.created_at, g.expires_at, g.tenant_id, g.role, g.permission, g.name, g.dialect,
  g.scopes, g.aal, g.amr, g.restricted, g.last_used_at, g.revoked_at, g.idle
"""
LICENCES = """
     FROM role_assignment ra JOIN tenant t ON t.id = ra.tenant_id JOIN account ta ON ta.id = t.account_id
     JOIN role r ON r.id = ra.role_id WHERE ra.account_id = a.id
"""
OWNERSHIPS = "FROM tenant_owner o JOIN tenant t ON t.id = o.tenant_id WHERE o.account_id = a.id"


class Directory:
    """The Directory port. `provision` writes, and is handed in.

    The row is read each time. Where all of it is as it was before, so is what is made of it: the same values.
    """

    def __init__(self, reader: Reader, statements: Statements, provision: Provision) -> None:
        self._reader = reader
        self._statements = statements
        self._provision = provision
        self._holder = lru_cache(HOLDERS)(to_holder)

    async def by_grant(self, grant_id: str) -> Standing | None:
        return self._first(await self._reader.rows(self._statements.by_grant, (grant_id,)))

    async def by_secret(self, digest: bytes) -> Standing | None:
        return self._first(await self._reader.rows(self._statements.by_secret, (digest,)))

    async def by_subject(self, issuer: str, subject: str) -> Standing | None:
        return self._first(await self._reader.rows(self._statements.by_subject, (issuer, subject)))

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


class Revocations:
    """The Revocations port. `prune` writes, and is handed in."""

    def __init__(self, reader: Reader, statements: Statements, prune: Callable[[float], Awaitable[None]]) -> None:
        self._reader = reader
        self._statements = statements
        self._prune = prune

    async def since(self, last_id: int) -> Sequence[Revocation]:
        return [Revocation(*row) for row in await self._reader.rows(self._statements.since, (last_id,))]

    async def latest(self) -> int:
        rows = await self._reader.rows(self._statements.latest)
        if not rows:
            raise DependencyFailed("store_unavailable", "the row of revocation_latest is gone")
        return cast("int", rows[0][0])

    async def prune(self, before: float) -> None:
        await self._prune(before)


def to_holder(row: Row) -> Holder:
    licences = tuple(to_licence(held) for held in sorted(json.loads(row[15])))
    ownerships = tuple(Ownership(key, name, float(since)) for key, name, since in sorted(json.loads(row[16])))
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
