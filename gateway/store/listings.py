"""Lists a page at a time: the Listings port of `identity.listing`.

A page goes on behind the values of the last item that was shown, in an order that nothing changes later: an item that
is added or removed meanwhile neither repeats another nor hides one.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select, and_, exists, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.identity.model import (
    Account,
    AccountStatus,
    GrantKind,
    HeldGrant,
    Invitation,
    InvitationState,
    Mark,
    Member,
    Page,
    Permission,
    Tenant,
)
from gateway.store.database import Database
from gateway.store.rows import Values, is_live, require_account, select_accounts, to_account, to_grant
from gateway.store.tables import account, email, grant_, invitation, role, role_assignment, tenant, tenant_owner
from gateway.store.tenants import require_tenant

T = TypeVar("T")


class Listings:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def accounts(
        self, limit: int, after: Mark | None, text: str = "", status: AccountStatus | None = None
    ) -> Page[Account]:
        own = exists().where(tenant.c.account_id == account.c.id)
        statement = select_accounts().where(~own).order_by(account.c.num)
        if text:
            statement = statement.where(or_(*(column.icontains(text, autoescape=True) for column in _SOUGHT)))
        statement = statement.where(~account.c.deleted if status is None else account.c.status == status)
        if after is not None:
            statement = statement.where(account.c.num > after[0])
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement.limit(limit + 1))).all()
        return _page(rows, limit, to_account, lambda row: (row.num,))

    async def tenants(self, limit: int, after: Mark | None, text: str = "") -> Page[Tenant]:
        order = (tenant.c.created_at, tenant.c.id)
        statement = select(tenant).order_by(*order)
        if text:
            statement = statement.where(tenant.c.name.icontains(text, autoescape=True))
        if after is not None:
            statement = statement.where(tuple_(*order) > tuple_(*after))
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement.limit(limit + 1))).all()
        return _page(rows, limit, to_tenant, lambda row: (row.created_at, row.id))

    async def roles(self, limit: int, after: Mark | None) -> Page[tuple[str, str]]:
        statement: Select[Any] = select(role.c.id, role.c.slug).order_by(role.c.slug)
        if after is not None:
            statement = statement.where(role.c.slug > after[0])
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement.limit(limit + 1))).all()
        return _page(rows, limit, lambda row: (row.id, row.slug), lambda row: (row.slug,))

    async def members(self, tenant_id: str, limit: int, after: Mark | None) -> Page[Member]:
        statement = select_accounts().where(is_member(tenant_id)).order_by(account.c.num)
        if after is not None:
            statement = statement.where(account.c.num > after[0])
        async with self._database.reading() as connection:
            await require_tenant(connection, tenant_id)
            rows = (await connection.execute(statement.limit(limit + 1))).all()
            ids = [row.id for row in rows]
            held, since = await holdings(connection, tenant_id, ids)
        return _page(
            rows,
            limit,
            lambda row: Member(to_account(row), tenant_id, held.get(row.id, ()), since.get(row.id)),
            lambda row: (row.num,),
        )

    async def owners(self, tenant_id: str) -> Sequence[Member]:
        mine = exists().where(tenant_owner.c.tenant_id == tenant_id, tenant_owner.c.account_id == account.c.id)
        async with self._database.reading() as connection:
            await require_tenant(connection, tenant_id)
            rows = (await connection.execute(select_accounts().where(mine).order_by(account.c.num))).all()
            held, since = await holdings(connection, tenant_id, [row.id for row in rows])
            return [Member(to_account(row), tenant_id, held.get(row.id, ()), since.get(row.id)) for row in rows]

    async def grants(
        self, account_id: str, limit: int, after: Mark | None, kind: GrantKind | None = None, live: bool = False
    ) -> Page[HeldGrant]:
        newest = (grant_.c.created_at, grant_.c.id)
        statement = select(grant_).where(grant_.c.account_id == account_id)
        if kind is not None:
            statement = statement.where(grant_.c.kind == kind)
        if live:
            statement = statement.where(is_live(self._clock.now()))
        if after is not None:
            statement = statement.where(tuple_(*newest) < tuple_(*after))
        statement = statement.order_by(*(column.desc() for column in newest))
        async with self._database.reading() as connection:
            await require_account(connection, account_id)
            rows = (await connection.execute(statement.limit(limit + 1))).all()
        return _page(rows, limit, _held, lambda row: (row.created_at, row.id))

    async def invitations(
        self, tenant_id: str, limit: int, after: Mark | None, state: InvitationState | None = None
    ) -> Page[Invitation]:
        newest = (invitation.c.created_at, invitation.c.id)
        statement = select(invitation).where(invitation.c.tenant_id == tenant_id)
        if state is not None:
            statement = statement.where(is_in(state, self._clock.now()))
        if after is not None:
            statement = statement.where(tuple_(*newest) < tuple_(*after))
        statement = statement.order_by(*(column.desc() for column in newest))
        async with self._database.reading() as connection:
            await require_tenant(connection, tenant_id)
            rows = (await connection.execute(statement.limit(limit + 1))).all()
        return _page(rows, limit, to_invitation, lambda row: (row.created_at, row.id))


# what a search looks into; the account's other addresses are not shown, so they are not found either
_SOUGHT = (account.c.name, account.c.username, email.c.address)


def _page(
    rows: Sequence[Row[Any]], limit: int, made: Callable[[Row[Any]], T], mark: Callable[[Row[Any]], Mark]
) -> Page[T]:
    """Of one row more than the page has, if there is one."""
    shown = rows[:limit]
    return Page([made(row) for row in shown], mark(shown[-1]) if len(rows) > limit else None)


def _held(row: Row[Any]) -> HeldGrant:
    return HeldGrant(to_grant(row), row.ua or "", row.ip, row.prefix)


def to_tenant(row: Row[Any]) -> Tenant:
    return Tenant(row.id, row.name, row.account_id)


def is_member(tenant_id: str) -> ColumnElement[bool]:
    """Of a statement over accounts: who owns the tenant or holds a role in it."""
    owns = exists().where(tenant_owner.c.tenant_id == tenant_id, tenant_owner.c.account_id == account.c.id)
    holds = exists().where(role_assignment.c.tenant_id == tenant_id, role_assignment.c.account_id == account.c.id)
    return or_(owns, holds)


async def holdings(
    connection: AsyncConnection, tenant_id: str, accounts: Sequence[str]
) -> tuple[dict[str, tuple[tuple[str, Permission], ...]], dict[str, float]]:
    """What these accounts hold in the tenant, and since when they own it."""
    mine = and_(role_assignment.c.tenant_id == tenant_id, role_assignment.c.account_id.in_(accounts))
    assigned: Select[Any] = (
        select(role_assignment.c.account_id, role.c.slug, role_assignment.c.permission)
        .join(role, role.c.id == role_assignment.c.role_id)
        .where(mine)
        .order_by(role.c.slug, role_assignment.c.permission)
    )
    held: dict[str, tuple[tuple[str, Permission], ...]] = {}
    for row in await connection.execute(assigned):
        held[row.account_id] = (*held.get(row.account_id, ()), (row.slug, row.permission))
    owned = select(tenant_owner).where(tenant_owner.c.tenant_id == tenant_id, tenant_owner.c.account_id.in_(accounts))
    return held, {row.account_id: row.since for row in await connection.execute(owned)}


def is_in(state: InvitationState, now: float) -> ColumnElement[bool]:
    """As `Invitation.state` has it."""
    accepted, revoked = invitation.c.accepted_at.is_not(None), invitation.c.revoked_at.is_not(None)
    if state == "accepted":
        return accepted
    if state == "revoked":
        return and_(~accepted, revoked)
    waiting = and_(~accepted, ~revoked)
    return and_(waiting, invitation.c.expires_at > now if state == "open" else invitation.c.expires_at <= now)


def to_invitation(row: Row[Any]) -> Invitation:
    return Invitation(
        id=row.id,
        tenant_id=row.tenant_id,
        address=row.address,
        address_key=row.address_key,
        role=row.role,
        permission=row.permission,
        digest=row.token_hash,
        invited_by=row.invited_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        accepted_at=row.accepted_at,
        accepted_by=row.accepted_by,
        revoked_at=row.revoked_at,
    )


def from_invitation(value: Invitation) -> Values:
    return {
        "id": value.id,
        "tenant_id": value.tenant_id,
        "address": value.address,
        "address_key": value.address_key,
        "role": value.role,
        "permission": value.permission,
        "token_hash": value.digest,
        "invited_by": value.invited_by,
        "created_at": value.created_at,
        "expires_at": value.expires_at,
    }
