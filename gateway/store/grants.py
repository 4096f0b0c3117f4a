"""Grants: the GrantStore and SessionStore ports."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, insert, or_, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.audit import Event, Kind
from gateway.identity.letters import Letter
from gateway.identity.model import Grant, GrantKind, HeldGrant, Issue
from gateway.store.database import Database, broken
from gateway.store.locks import hold, hold_account
from gateway.store.notes import noted
from gateway.store.outbox import post
from gateway.store.revocations import revoked
from gateway.store.rows import Values, from_grant, is_live, require_account, require_live, to_grant
from gateway.store.seal import Sealer
from gateway.store.tables import grant_, mac_key, role, role_assignment
from gateway.store.tenants import require_tenant


class Grants:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def add_grant(self, issue: Issue) -> None:
        async with self._database.writing() as connection:
            await hold_account(connection, issue.grant.account_id)
            await require_live(connection, issue.grant.account_id)
            await connection.execute(insert(grant_).values(from_issue(issue)))
            noted(connection, issued(issue.grant))

    async def add_connection(self, issue: Issue, letter: Letter | None = None) -> bool:
        grant = issue.grant
        async with self._database.writing() as connection:
            await hold_account(connection, grant.account_id)
            await hold(connection, "keys", shared=True)  # a rotation counts what hangs on the key that it drops
            await require_live(connection, grant.account_id)
            await require_tenant(connection, grant.tenant_id or "")
            await require_role(connection, grant)
            await require_mac_key(connection, issue.mac_version)
            try:
                async with connection.begin_nested():
                    await connection.execute(insert(grant_).values(from_issue(issue)))
            except IntegrityError as error:
                if broken(error) != "uq_grant__secret_hash":
                    raise
                return False
            await post(connection, self._sealer, self._clock, letter)
            noted(connection, issued(grant))
            return True

    async def free_expiry(self, grant: Grant, within: int) -> float | None:
        last = int(grant.expires_at)
        same = and_(grant_.c.account_id == grant.account_id, grant_.c.tenant_id == grant.tenant_id)
        near = and_(same, grant_.c.role == grant.role, grant_.c.expires_at.between(last - within, last))
        async with self._database.reading() as connection:
            found = (await connection.execute(select(grant_.c.expires_at).where(near))).scalars()
            taken = {int(at) for at in found}
        return next((float(at) for at in range(last, last - within, -1) if at not in taken), None)

    async def grants(self, account_id: str) -> Sequence[Grant]:
        statement = select(grant_).where(grant_.c.account_id == account_id)
        async with self._database.reading() as connection:
            await require_account(connection, account_id)
            rows = await connection.execute(statement.order_by(grant_.c.created_at.desc(), grant_.c.id))
            return [to_grant(row) for row in rows]

    async def revoke(self, grant_id: str, reason: str) -> bool:
        at = self._clock.now()
        async with self._database.writing() as connection:
            mine = grant_.c.id == grant_id
            holder = (await connection.execute(select(grant_.c.account_id).where(mine))).scalar()
            if holder is None:
                raise RequestRejected("not_found", f"there is no grant {grant_id}")
            change = update(grant_).where(mine, grant_.c.revoked_at.is_(None))
            if (await connection.execute(change.values(revoked_at=at, revoke_reason=reason))).rowcount != 1:
                return False
            await revoked(connection, at, "grant", grant_id)
            noted(connection, Event("grant_revoked", holder, grant_id, reason=reason))
            return True

    async def held(self, account_id: str, kind: GrantKind, *, live: bool) -> Sequence[HeldGrant]:
        mine = and_(grant_.c.account_id == account_id, grant_.c.kind == kind, grant_.c.deleted_at.is_(None))
        which = and_(mine, is_live(self._clock.now())) if live else mine
        statement = select(grant_).where(which).order_by(grant_.c.created_at.desc(), grant_.c.id)
        async with self._database.reading() as connection:
            rows = await connection.execute(statement)
            return [HeldGrant(to_grant(row), row.ua or "", row.ip, row.prefix) for row in rows]

    async def revoke_own(
        self, account_id: str, grant_id: str, kind: GrantKind, reason: str, *, delete: bool = False
    ) -> bool:
        at = self._clock.now()
        mine = and_(grant_.c.id == grant_id, grant_.c.account_id == account_id, grant_.c.kind == kind)
        async with self._database.writing() as connection:
            await hold_account(connection, account_id)
            there = select(grant_.c.id).where(mine, grant_.c.deleted_at.is_(None))
            if (await connection.execute(there)).first() is None:
                return False
            if delete:
                await connection.execute(update(grant_).where(mine).values(deleted_at=at))
            unrevoked = update(grant_).where(mine, grant_.c.revoked_at.is_(None))
            ended = (await connection.execute(unrevoked.values(revoked_at=at, revoke_reason=reason))).rowcount
            await revoked(connection, at, "grant", grant_id)
            if ended or delete:
                noted(
                    connection,
                    Event("grant_deleted" if delete else "grant_revoked", account_id, grant_id, reason=reason),
                )
            return True

    async def renew(self, grant_id: str, issue: Issue) -> bool:
        at, holder = self._clock.now(), issue.grant.account_id
        mine = and_(grant_.c.id == grant_id, grant_.c.account_id == holder, grant_.c.kind == "session")
        change = update(grant_).where(mine, grant_.c.restricted.is_(False), is_live(at))
        async with self._database.writing() as connection:
            await hold_account(connection, holder)
            ended = await connection.execute(change.values(revoked_at=at, revoke_reason="renewed"))
            if ended.rowcount != 1:
                return False
            await require_live(connection, holder)
            await connection.execute(insert(grant_).values(from_issue(issue)))
            await revoked(connection, at, "grant", grant_id)
            noted(connection, Event("session_renewed", holder, issue.grant.id, detail={"before": grant_id}))
            return True

    async def revoke_sessions(self, account_id: str, keep: str | None, reason: str) -> int:
        sessions = grant_.c.kind == "session"
        async with self._database.writing() as connection:
            await hold_account(connection, account_id)
            return await revoke_where(connection, account_id, sessions, keep, reason, self._clock.now())


async def revoke_others(connection: AsyncConnection, account_id: str, keep: str | None, reason: str, at: float) -> int:
    """All live grants of the account but `keep`, within a transaction. How many."""
    return await revoke_where(connection, account_id, true(), keep, reason, at)


async def revoke_where(
    connection: AsyncConnection, account_id: str, which: ColumnElement[bool], keep: str | None, reason: str, at: float
) -> int:
    """The account's live grants of these, but `keep`, within a transaction that holds the account. How many."""
    live = and_(grant_.c.account_id == account_id, which, is_live(at))
    if keep is None:
        return await end_grants(connection, live, reason, at)
    # the one that is kept may be written afterwards: it is locked in its turn, as others lock by id
    together = select(grant_.c.id).where(or_(live, grant_.c.id == keep)).order_by(grant_.c.id)
    await connection.execute(together.with_for_update(key_share=True))
    return await end_grants(connection, and_(live, grant_.c.id != keep), reason, at)


async def end_grants(connection: AsyncConnection, which: ColumnElement[bool], reason: str, at: float) -> int:
    """How many. Those that are told are those that are revoked, and rows are locked in the order of `store.locks`."""
    columns = select(grant_.c.id, grant_.c.account_id)
    found = columns.where(which).order_by(grant_.c.id).with_for_update(key_share=True)
    ended = [(row.id, row.account_id) for row in await connection.execute(found)]
    if ended:
        change = update(grant_).where(grant_.c.id.in_([grant_id for grant_id, _ in ended]))
        await connection.execute(change.values(revoked_at=at, revoke_reason=reason))
    for grant_id, holder in ended:
        await revoked(connection, at, "grant", grant_id)
        noted(connection, Event("grant_revoked", holder, grant_id, reason=reason))
    return len(ended)


async def end_sessions(connection: AsyncConnection, account_id: str, dialect: str, at: float) -> None:
    """The account's live sessions of one dialect, within a transaction that holds the account."""
    theirs = and_(grant_.c.account_id == account_id, grant_.c.dialect == dialect, grant_.c.kind == "session")
    await end_grants(connection, and_(theirs, is_live(at)), "a newer session", at)


_ISSUED: dict[GrantKind, Kind] = {"api_key": "api_key_issued", "connection": "connection_string_issued"}


def issued(grant: Grant) -> Event:
    """Of a grant that no login made."""
    detail = {"expires_at": int(grant.expires_at), "tenant": grant.tenant_id, "role": grant.role}
    return Event(_ISSUED.get(grant.kind, "token_issued"), grant.account_id, grant.id, detail=detail)


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
