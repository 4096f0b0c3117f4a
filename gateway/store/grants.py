"""Grants: the GrantStore port."""

from collections.abc import Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.model import Grant, Issue
from gateway.store.engine import Database
from gateway.store.rows import Values, from_grant, require_account, require_live, revoked, to_grant
from gateway.store.tables import grant_, mac_key, role, role_assignment
from gateway.store.tenants import require_tenant


class Grants:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add_grant(self, issue: Issue) -> None:
        async with self._database.writing() as connection:
            await require_live(connection, issue.grant.account_id)
            await connection.execute(insert(grant_).values(from_issue(issue)))

    async def add_connection(self, issue: Issue) -> bool:
        grant = issue.grant
        async with self._database.writing() as connection:
            await require_live(connection, grant.account_id)
            await require_tenant(connection, grant.tenant_id or "")
            await require_role(connection, grant)
            await require_mac_key(connection, issue.mac_version)
            try:
                async with connection.begin_nested():
                    await connection.execute(insert(grant_).values(from_issue(issue)))
            except IntegrityError:
                return False  # the digest: everything else that a constraint guards was checked above, under the lock
            return True

    async def grants(self, account_id: str) -> Sequence[Grant]:
        statement = select(grant_).where(grant_.c.account_id == account_id)
        async with self._database.reading() as connection:
            await require_account(connection, account_id)
            rows = await connection.execute(statement.order_by(grant_.c.created_at.desc(), grant_.c.id))
            return [to_grant(row) for row in rows]

    async def revoke(self, grant_id: str, reason: str) -> bool:
        at = self._clock.now()
        async with self._database.writing() as connection:
            row = (await connection.execute(select(grant_.c.revoked_at).where(grant_.c.id == grant_id))).first()
            if row is None:
                raise RequestRejected("not_found", f"there is no grant {grant_id}")
            if row.revoked_at is not None:
                return False
            change = update(grant_).where(grant_.c.id == grant_id)
            await connection.execute(change.values(revoked_at=at, revoke_reason=reason))
            await revoked(connection, at, "grant", grant_id)
            return True


def from_issue(issue: Issue) -> Values:
    return from_grant(issue.grant) | {
        "secret_hash": issue.digest,
        "prefix": issue.prefix,
        "mac_version": issue.mac_version,
        "ip": issue.ip,
        "ua": issue.user_agent,
    }


async def require_role(connection: AsyncConnection, grant: Grant) -> None:
    held = (
        select(role_assignment.c.accepted)
        .join(role, role.c.id == role_assignment.c.role_id)
        .where(
            role_assignment.c.account_id == grant.account_id,
            role_assignment.c.tenant_id == grant.tenant_id,
            role.c.slug == grant.role,
            role_assignment.c.accepted,
        )
    )
    if (await connection.execute(held)).first() is None:
        raise RequestRejected("role_missing", f"the account does not hold the role {grant.role} in this tenant")


async def require_mac_key(connection: AsyncConnection, version: int | None) -> None:
    # a rotation between signing and storing may have dropped it
    if (await connection.execute(select(mac_key.c.version).where(mac_key.c.version == version))).first() is None:
        raise RequestRejected("conflict", "the key that signed was rotated away; try again")
