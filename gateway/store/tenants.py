"""Tenants and the roles that accounts hold in them: the TenantStore and RoleStore ports."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.audit import Event
from gateway.identity.model import Account, Assignment, Member, MemberGuard, Permission, Tenant, unguarded
from gateway.store.database import Database
from gateway.store.locks import hold, hold_account
from gateway.store.notes import noted
from gateway.store.revocations import revoked
from gateway.store.rows import from_account, require_account, require_kept, select_accounts, to_account
from gateway.store.tables import account, role, role_assignment, tenant, tenant_owner


async def require_tenant(connection: AsyncConnection, tenant_id: str) -> Tenant:
    """Raises RequestRejected("not_found")."""
    columns = (tenant.c.id, tenant.c.name, tenant.c.account_id)
    row = (await connection.execute(select(*columns).where(tenant.c.id == tenant_id))).first()
    if row is None:
        raise RequestRejected("not_found", f"there is no tenant {tenant_id}")
    return Tenant(row.id, row.name, row.account_id)


class Tenants:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add_tenant(self, value: Tenant, own: Account, owner_id: str | None) -> None:
        at = self._clock.now()
        async with self._database.writing() as connection:
            if owner_id is not None:
                await hold_account(connection, owner_id)
                await require_account(connection, owner_id)
            await hold(connection, "accounts")
            await connection.execute(insert(account).values(from_account(own, at)))
            row = {"id": value.id, "name": value.name, "account_id": value.account_id, "created_at": at}
            await connection.execute(insert(tenant).values(row))
            if owner_id is not None:
                owned = {"tenant_id": value.id, "account_id": owner_id, "since": at}
                await connection.execute(insert(tenant_owner).values(owned))
                await revoked(connection, at, "account", owner_id)
            noted(connection, Event("tenant_created", owner_id, value.id))

    async def tenant(self, tenant_id: str) -> Tenant:
        async with self._database.reading() as connection:
            return await require_tenant(connection, tenant_id)

    async def tenants(self) -> Sequence[Tenant]:
        columns = (tenant.c.id, tenant.c.name, tenant.c.account_id)
        async with self._database.reading() as connection:
            rows = await connection.execute(select(*columns).order_by(tenant.c.created_at, tenant.c.id))
            return [Tenant(row.id, row.name, row.account_id) for row in rows]


class Roles:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def assign(
        self,
        account_id: str,
        tenant_id: str,
        slug: str,
        permission: Permission,
        guard: MemberGuard = unguarded,
        *,
        known_role: bool = False,
    ) -> bool:
        async with self._database.writing() as connection:
            await guarded_member(connection, tenant_id, account_id, guard)
            if known_role and (await connection.execute(select(role.c.id).where(role.c.slug == slug))).first() is None:
                raise RequestRejected("invalid_value", "there is no such role")
            return await put_assignment(connection, self._clock, account_id, tenant_id, slug, permission)

    async def remove(
        self,
        account_id: str,
        tenant_id: str,
        slug: str,
        permission: Permission | None,
        guard: MemberGuard | None = None,
    ) -> int:
        held = delete(role_assignment).where(
            role_assignment.c.account_id == account_id,
            role_assignment.c.tenant_id == tenant_id,
            role_assignment.c.role_id.in_(select(role.c.id).where(role.c.slug == slug)),
        )
        if permission is not None:
            held = held.where(role_assignment.c.permission == permission)
        async with self._database.writing() as connection:
            if guard is None:
                await hold_account(connection, account_id)
            else:
                await guarded_member(connection, tenant_id, account_id, guard)
            gone = (await connection.execute(held)).rowcount
            if gone:
                await revoked(connection, self._clock.now(), "account", account_id)
                detail = {"role": slug, "permission": permission}
                noted(connection, Event("role_removed", account_id, tenant_id, detail=detail))
            return gone

    async def assignments(self, account_id: str) -> Sequence[Assignment]:
        statement = (
            select(role_assignment, tenant.c.name.label("tenant_name"), role.c.slug)
            .join(tenant, tenant.c.id == role_assignment.c.tenant_id)
            .join(role, role.c.id == role_assignment.c.role_id)
            .where(role_assignment.c.account_id == account_id)
            .order_by(tenant.c.name, role.c.slug, role_assignment.c.permission)
        )
        async with self._database.reading() as connection:
            await require_account(connection, account_id)
            rows = await connection.execute(statement)
            return [
                Assignment(a.account_id, a.tenant_id, a.tenant_name, a.slug, a.role_id, a.permission, a.accepted)
                for a in rows
            ]


async def guarded_member(connection: AsyncConnection, tenant_id: str, account_id: str, guard: MemberGuard) -> None:
    """Holds the account and the tenant, and asks about both. Raises RequestRejected("not_found"), and what the guard
    raises."""
    await hold_account(connection, account_id)
    found = await require_account(connection, account_id)
    await hold(connection, "tenant", tenant_id)
    await require_tenant(connection, tenant_id)
    guard(await _member(connection, tenant_id, found))
    require_kept(found)  # after the guard: not everybody may know that it was there


async def find_member(connection: AsyncConnection, tenant_id: str, account_id: str) -> Member | None:
    """What an account holds in a tenant, both of them held. None where there is no such account."""
    row = (await connection.execute(select_accounts().where(account.c.id == account_id))).first()
    return None if row is None else await _member(connection, tenant_id, to_account(row))


async def _member(connection: AsyncConnection, tenant_id: str, found: Account) -> Member:
    owns = select(tenant_owner.c.since).filter_by(tenant_id=tenant_id, account_id=found.id)
    mine = role_assignment.c.tenant_id == tenant_id, role_assignment.c.account_id == found.id
    held = select(role.c.slug, role_assignment.c.permission).join(role, role.c.id == role_assignment.c.role_id)
    rows = await connection.execute(held.where(*mine).order_by(role.c.slug, role_assignment.c.permission))
    roles = tuple((row.slug, row.permission) for row in rows)
    return Member(found, tenant_id, roles, (await connection.execute(owns)).scalar())


async def put_assignment(
    connection: AsyncConnection, clock: Clock, account_id: str, tenant_id: str, slug: str, permission: Permission
) -> bool:
    """Whether it is new. The account and the tenant are held; the role is made when first used."""
    at = clock.now()
    held = {
        "account_id": account_id,
        "tenant_id": tenant_id,
        "role_id": await role_id(connection, clock, slug, at),
        "permission": permission,
    }
    if (await connection.execute(select(role_assignment.c.accepted).filter_by(**held))).first() is not None:
        return False
    await connection.execute(insert(role_assignment).values(held | {"accepted": True, "created_at": at}))
    await revoked(connection, at, "account", account_id)
    detail = {"role": slug, "permission": permission}
    noted(connection, Event("role_assigned", account_id, tenant_id, detail=detail))
    return True


async def role_id(connection: AsyncConnection, clock: Clock, slug: str, at: float) -> str:
    """Of the role, which is made when its slug is first used."""
    await hold(connection, "role", slug)
    found = (await connection.execute(select(role.c.id).where(role.c.slug == slug))).scalar()
    if isinstance(found, str):
        return found
    fresh = clock.uuid4()
    await connection.execute(insert(role).values(id=fresh, slug=slug, created_at=at))
    return fresh
