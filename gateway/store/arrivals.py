"""Accounts that come from another system, in batches: what is there already is compared, never overwritten."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Insert, Row, Select, and_, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.arrivals import Arrival, Held
from gateway.identity.audit import Event
from gateway.identity.model import Account, Owner
from gateway.store.database import Database
from gateway.store.locks import hold
from gateway.store.notes import noted
from gateway.store.rows import Values, from_account
from gateway.store.seal import Sealer, factor_place
from gateway.store.tables import account, email, factor, password, role, role_assignment
from gateway.store.tenants import role_id

BATCH = 200  # accounts in a transaction: on SQLite others wait for its end, which is some 50 milliseconds
ATTEMPTS = 5  # of a batch: somebody else may take an address or a username in between

MovedOn = Callable[[str, str], bool]  # the stored hash, that of the line


@dataclass(frozen=True, slots=True)
class Taken:
    """conflicts: lines, and what is different there. No value is in it."""

    created: int
    skipped: int
    conflicts: Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class There:
    """What the store holds of a batch. people: by the key of their address. usernames: whose they are."""

    people: Mapping[str, Row[Any]]
    usernames: Mapping[str, str]
    roles: Mapping[str, frozenset[Held]]


class Arrivals:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def take(self, batch: Sequence[Arrival], moved_on: MovedOn, *, dry: bool = False) -> Taken:
        """Adds those that are not there, in one transaction; no two of them have one address or username.

        moved_on: whether a stored hash is a later one than that of the line. dry: only says what would be done. Raises
        RequestRejected("conflict") when others take the same names all the time; DependencyFailed.
        """
        for _ in range(ATTEMPTS):
            try:
                async with self._transaction(dry) as connection:
                    return await self._take(connection, batch, moved_on, dry)
            except IntegrityError:
                continue  # what was free has been taken: now it is seen
        raise RequestRejected("conflict", f"lines {batch[0].line} to {batch[-1].line} meet other changes: run it again")

    def _transaction(self, dry: bool) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._database.reading() if dry else self._database.writing()

    async def _take(self, connection: AsyncConnection, batch: Sequence[Arrival], moved_on: MovedOn, dry: bool) -> Taken:
        if not dry:
            await hold(connection, "accounts")
        there = await _there(connection, batch)
        fresh: list[Arrival] = []
        skipped, conflicts = 0, list[tuple[int, str]]()
        for one in batch:
            found = there.people.get(one.email.key)
            if found is not None:
                different = self._different(one, found, there.roles.get(found.id, frozenset()), moved_on)
                skipped += not different
                conflicts += (
                    [(one.line, f"the account is here with another {', '.join(different)}")] if different else []
                )
            elif one.username is not None and one.username[1] in there.usernames:
                conflicts.append((one.line, "the username is another account's"))
            else:
                fresh.append(one)
        if fresh and not dry:
            await self._add(connection, fresh)
        return Taken(len(fresh), skipped, conflicts)

    def _different(self, one: Arrival, found: Row[Any], roles: frozenset[Held], moved_on: MovedOn) -> list[str]:
        """Names of the fields. Roles that were given since are no difference, nor is a hash that was made anew."""
        secret = None
        if found.secret_enc is not None:
            secret = self._sealer.open(found.secret_enc, factor_place(found.factor_id)).decode()
        same_hash = found.phc == one.phc or (found.phc and one.phc and moved_on(found.phc, one.phc))
        same = {
            "username": found.username == (one.username[0] if one.username else None),
            "name": found.name == one.name,
            "status": found.status == one.status,
            "isStaff": found.is_staff == one.is_staff,
            "isManager": found.is_manager == one.is_manager,
            "passwordHash": same_hash,
            "totpSecret": secret == one.totp,
            "roles": one.roles <= roles,
        }
        return [name for name, equal in same.items() if not equal]

    async def _add(self, connection: AsyncConnection, fresh: Sequence[Arrival]) -> None:
        at = self._clock.now()
        ids = [self._clock.uuid4() for _ in fresh]
        slugs = sorted({held.role for one in fresh for held in one.roles})
        roles = {slug: await role_id(connection, self._clock, slug, at) for slug in slugs}
        last = (await connection.execute(select(func.coalesce(func.max(account.c.num), 0)))).scalar_one()
        people = [
            self._account(one, id, at) | {"num": number}
            for number, (id, one) in enumerate(zip(ids, fresh, strict=True), last + 1)
        ]
        both = list(zip(ids, fresh, strict=True))
        await _put(connection, insert(account), people)
        await _put(connection, insert(email), [_email(one, id, at) for id, one in both])
        await _put(connection, insert(password), [_password(one.phc, id, at) for id, one in both if one.phc])
        await _put(connection, insert(factor), [self._factor(one.totp, id, at) for id, one in both if one.totp])
        held = [_held(it, id, roles[it.role], at) for id, one in both for it in one.roles]
        for id, one in both:
            noted(connection, Event("account_imported", id, detail=_told(one)))
        await _put(connection, insert(role_assignment), held)

    def _account(self, one: Arrival, account_id: str, at: float) -> Values:
        shown, key = one.username or (None, None)
        owner = Owner(self._clock.uuid4(), one.email.text, username=shown)
        value = Account(
            account_id, one.name, owner, status=one.status, is_staff=one.is_staff, is_manager=one.is_manager
        )
        return from_account(value, at) | {"username_key": key}

    def _factor(self, secret: str, account_id: str, at: float) -> Values:
        factor_id = self._clock.uuid4()
        return {
            "id": factor_id, "account_id": account_id, "kind": "totp", "state": "active", "created_at": at,
            "secret_enc": self._sealer.seal(secret.encode(), factor_place(factor_id)), "last_step": 0,
            "confirmed_at": at,
        }  # fmt: skip


def _told(one: Arrival) -> Mapping[str, bool | int]:
    return {
        "staff": one.is_staff,
        "manager": one.is_manager,
        "password": one.phc is not None,
        "factor": one.totp is not None,
        "roles": len(one.roles),
    }


async def _there(connection: AsyncConnection, batch: Sequence[Arrival]) -> There:
    proved = and_(email.c.key.in_([one.email.key for one in batch]), email.c.verified_at.is_not(None))
    active = and_(factor.c.account_id == account.c.id, factor.c.state == "active")
    statement: Select[Any] = (
        select(account, email.c.key, password.c.phc, factor.c.id.label("factor_id"), factor.c.secret_enc)
        .join(email, email.c.account_id == account.c.id)
        .outerjoin(password, password.c.account_id == account.c.id)
        .outerjoin(factor, active)
        .where(proved)
    )
    people = {row.key: row for row in await connection.execute(statement)}
    keys = [one.username[1] for one in batch if one.username is not None]
    named = select(account.c.username_key, account.c.id).where(account.c.username_key.in_(keys))
    usernames = {row.username_key: row.id for row in await connection.execute(named)}
    return There(people, usernames, await _roles(connection, [row.id for row in people.values()]))


async def _roles(connection: AsyncConnection, ids: Sequence[str]) -> Mapping[str, frozenset[Held]]:
    statement = (
        select(role_assignment, role.c.slug)
        .join(role, role.c.id == role_assignment.c.role_id)
        .where(role_assignment.c.account_id.in_(ids))
    )
    found: dict[str, set[Held]] = {}
    for row in await connection.execute(statement) if ids else ():
        found.setdefault(row.account_id, set()).add(Held(row.tenant_id, row.slug, row.permission))
    return {account_id: frozenset(held) for account_id, held in found.items()}


async def _put(connection: AsyncConnection, statement: Insert, rows: Sequence[Values]) -> None:
    if rows:
        await connection.execute(statement, rows)


def _email(one: Arrival, account_id: str, at: float) -> Values:
    key = {"address": one.email.text, "key": one.email.key}
    return {"account_id": account_id, "is_primary": True, "verified_at": at} | key


def _password(phc: str, account_id: str, at: float) -> Values:
    return {"account_id": account_id, "phc": phc, "set_at": at, "must_change": False}


def _held(it: Held, account_id: str, role_id: str, at: float) -> Values:
    return {
        "account_id": account_id, "tenant_id": it.tenant_id, "role_id": role_id, "permission": it.permission,
        "accepted": True, "created_at": at,
    }  # fmt: skip
