"""Changes that only the administration makes: ranks, owners, removals, credentials of others. The Governance port.

A guard is asked with what the change is about, held: nobody changes it between the question and the change.
"""

from typing import Any

from sqlalchemy import ColumnElement, Table, and_, delete, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.audit import Event
from gateway.identity.model import AccountGuard, GrantKind, MemberGuard, Rank, Tenant
from gateway.store.database import Database
from gateway.store.grants import end_grants
from gateway.store.locks import hold, hold_account
from gateway.store.notes import noted
from gateway.store.revocations import revoked
from gateway.store.rows import changed, is_live, require_account, require_kept
from gateway.store.staff import require_other_staff
from gateway.store.tables import (
    account,
    challenge,
    email,
    external_identity,
    factor,
    grant_,
    invitation,
    password,
    recovery_code,
    role_assignment,
    tenant,
    tenant_owner,
)
from gateway.store.tenants import guarded_member, require_tenant


class Governance:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def set_rank(self, account_id: str, rank: Rank, guard: AccountGuard) -> bool:
        at = self._clock.now()
        # staff are managers too, as `identity.accounts` makes them
        flags = {"is_staff": rank == "staff", "is_manager": rank != "user"}
        async with self._database.writing() as connection:
            await hold_account(connection, account_id)
            found = await require_account(connection, account_id)
            guard(found)
            require_kept(found)
            if (found.is_staff, found.is_manager) == tuple(flags.values()):
                return False
            if rank != "staff":
                await require_other_staff(connection, found)
            change = update(account).where(account.c.id == account_id).values(**flags, updated_at=at)
            await connection.execute(change)
            await revoked(connection, at, "account", account_id)
            noted(connection, Event("rank_set", account_id, detail={"rank": rank}))
            return True

    async def delete_account(self, account_id: str, guard: AccountGuard) -> None:
        at = self._clock.now()
        async with self._database.writing() as connection:
            await hold_account(connection, account_id)
            found = await require_account(connection, account_id)
            guard(found)
            require_kept(found)
            await _require_none(connection, tenant, tenant.c.account_id == account_id, "it is a tenant's own account")
            await _require_none(connection, tenant_owner, tenant_owner.c.account_id == account_id, "it owns a tenant")
            mine = role_assignment.c.account_id == account_id
            await _require_none(connection, role_assignment, mine, "it holds a role in a tenant")
            await require_other_staff(connection, found)
            await _forget(connection, account_id, at)
            await end_grants(connection, and_(grant_.c.account_id == account_id, is_live(at)), "account deleted", at)
            await revoked(connection, at, "account", account_id)
            noted(connection, Event("account_deleted", account_id))

    async def rename_tenant(self, tenant_id: str, name: str) -> Tenant:
        async with self._database.writing() as connection:
            found = await _held_tenant(connection, tenant_id)
            await connection.execute(update(tenant).where(tenant.c.id == tenant_id).values(name=name))
            own = account.c.id == found.account_id
            await connection.execute(update(account).where(own).values(name=name, updated_at=self._clock.now()))
            for holder in await _concerned(connection, tenant_id):  # the name is in their profiles
                await revoked(connection, self._clock.now(), "account", holder)
            noted(connection, Event("tenant_renamed", None, tenant_id))
            return Tenant(tenant_id, name, found.account_id)

    async def add_owner(self, tenant_id: str, account_id: str, guard: MemberGuard) -> bool:
        at = self._clock.now()
        async with self._database.writing() as connection:
            await guarded_member(connection, tenant_id, account_id, guard)
            mine = and_(tenant_owner.c.tenant_id == tenant_id, tenant_owner.c.account_id == account_id)
            if (await connection.execute(select(tenant_owner.c.since).where(mine))).first() is not None:
                return False
            row = {"tenant_id": tenant_id, "account_id": account_id, "since": at}
            await connection.execute(insert(tenant_owner).values(row))
            await revoked(connection, at, "account", account_id)
            noted(connection, Event("owner_added", account_id, tenant_id))
            return True

    async def remove_owner(self, tenant_id: str, account_id: str, guard: MemberGuard) -> bool:
        mine = and_(tenant_owner.c.tenant_id == tenant_id, tenant_owner.c.account_id == account_id)
        async with self._database.writing() as connection:
            await guarded_member(connection, tenant_id, account_id, guard)
            if not (await connection.execute(delete(tenant_owner).where(mine))).rowcount:
                return False
            await revoked(connection, self._clock.now(), "account", account_id)
            noted(connection, Event("owner_removed", account_id, tenant_id))
            return True

    async def delete_tenant(self, tenant_id: str) -> None:
        at = self._clock.now()
        async with self._database.writing() as connection:
            found = await _held_tenant(connection, tenant_id)
            held = role_assignment.c.tenant_id == tenant_id
            await _require_none(connection, role_assignment, held, "somebody holds a role in it")
            live = and_(grant_.c.tenant_id == tenant_id, is_live(at))
            await _require_none(connection, grant_, live, "there are live credentials for it")
            for holder in await _concerned(connection, tenant_id):
                await revoked(connection, at, "account", holder)
            await connection.execute(delete(tenant).where(tenant.c.id == tenant_id))
            await connection.execute(delete(account).where(account.c.id == found.account_id))
            noted(connection, Event("tenant_deleted", None, tenant_id))

    async def revoke_grant(self, account_id: str, grant_id: str, reason: str, guard: AccountGuard) -> bool:
        mine = and_(grant_.c.id == grant_id, grant_.c.account_id == account_id)
        async with self._database.writing() as connection:
            await _guarded(connection, account_id, guard)
            if (await connection.execute(select(grant_.c.id).where(mine))).first() is None:
                raise RequestRejected("not_found", "the account has no such credential")
            unrevoked = and_(mine, grant_.c.revoked_at.is_(None))
            return bool(await end_grants(connection, unrevoked, reason, self._clock.now()))

    async def revoke_grants(
        self, account_id: str, kind: GrantKind | None, keep: str | None, reason: str, guard: AccountGuard
    ) -> int:
        at = self._clock.now()
        which = and_(grant_.c.account_id == account_id, is_live(at))
        if kind is not None:
            which = and_(which, grant_.c.kind == kind)
        if keep is not None:
            which = and_(which, grant_.c.id != keep)
        async with self._database.writing() as connection:
            await _guarded(connection, account_id, guard)
            return await end_grants(connection, which, reason, at)


async def _held_tenant(connection: AsyncConnection, tenant_id: str) -> Tenant:
    """The tenant and its own account, held in the order of `store.locks`. Raises RequestRejected("not_found")."""
    own = (await require_tenant(connection, tenant_id)).account_id
    await hold_account(connection, own)
    await hold(connection, "tenant", tenant_id)
    return await require_tenant(connection, tenant_id)


async def _forget(connection: AsyncConnection, account_id: str, at: float) -> None:
    """What is known of a person. The row stays: what refers to it, and a login under way, must not break on it."""
    blank = {"username": None, "username_key": None, "first_name": None, "last_name": None, "name": "deleted"}
    flags = {"status": "deleted", "deleted": True, "is_staff": False, "is_manager": False, "updated_at": at}
    await connection.execute(update(account).where(account.c.id == account_id).values(**blank, **flags))
    keys = select(email.c.key).where(email.c.account_id == account_id, email.c.verified_at.is_not(None))
    invited = or_(invitation.c.address_key.in_(keys), invitation.c.accepted_by == account_id)
    await connection.execute(delete(invitation).where(invited))
    for table in (email, password, factor, recovery_code, external_identity):
        await connection.execute(delete(table).where(table.c.account_id == account_id))
    live = and_(challenge.c.account_id == account_id, challenge.c.state.in_(("open", "shown", "approved")))
    await connection.execute(update(challenge).where(live).values(state="superseded", decided_at=at))
    await changed(connection, account_id)


async def _guarded(connection: AsyncConnection, account_id: str, guard: AccountGuard) -> None:
    await hold_account(connection, account_id)
    guard(await require_account(connection, account_id))


async def _concerned(connection: AsyncConnection, tenant_id: str) -> list[str]:
    """Ids of the accounts that own the tenant or hold a role in it."""
    owners = select(tenant_owner.c.account_id).where(tenant_owner.c.tenant_id == tenant_id)
    holders = select(role_assignment.c.account_id).where(role_assignment.c.tenant_id == tenant_id)
    return sorted((await connection.execute(owners.union(holders))).scalars())


async def _require_none(connection: AsyncConnection, table: Table, which: ColumnElement[bool], why: str) -> None:
    """Raises RequestRejected("conflict") where there is a row: what would be lost with it has to go first."""
    found: Any = await connection.execute(select(exists(select(table).where(which))))
    if found.scalar():
        raise RequestRejected("conflict", f"{why}; take that away first")
