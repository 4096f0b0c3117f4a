"""Invitations: the InvitationStore port. Of parallel calls with one token one is the acceptance."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.audit import Detail, Event
from gateway.identity.letters import Letter
from gateway.identity.model import Invitation, InvitationGuard, Member
from gateway.store.database import Database
from gateway.store.listings import from_invitation, is_in, to_invitation
from gateway.store.locks import hold, hold_account
from gateway.store.notes import noted
from gateway.store.outbox import post
from gateway.store.rows import require_live
from gateway.store.seal import Sealer
from gateway.store.tables import email, invitation, role
from gateway.store.tenants import find_member, put_assignment, require_tenant


class Invitations:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def invite(self, value: Invitation, letter: Letter, *, known_role: bool) -> None:
        async with self._database.writing() as connection:
            await hold(connection, "tenant", value.tenant_id)
            await require_tenant(connection, value.tenant_id)
            if known_role:
                await _require_role(connection, value.role)
            same = invitation.c.tenant_id == value.tenant_id, invitation.c.address_key == value.address_key
            what = invitation.c.role == value.role, invitation.c.permission == value.permission
            waiting = select(invitation.c.id).where(*same, *what, is_in("open", self._clock.now()))
            if (await connection.execute(waiting)).first() is not None:
                raise RequestRejected("conflict", "the address is invited to that already; revoke it to send another")
            await connection.execute(insert(invitation).values(from_invitation(value)))
            await post(connection, self._sealer, self._clock, letter)
            noted(connection, Event("invited", None, value.id, detail={"tenant": value.tenant_id, "role": value.role}))

    async def revoke(self, tenant_id: str, invitation_id: str, guard: InvitationGuard) -> bool:
        at = self._clock.now()
        mine = and_(invitation.c.tenant_id == tenant_id, invitation.c.id == invitation_id)
        async with self._database.writing() as connection:
            await hold(connection, "tenant", tenant_id)
            row = (await connection.execute(select(invitation).where(mine))).first()
            if row is None:
                raise RequestRejected("not_found", "the tenant has no such invitation")
            guard(to_invitation(row))
            if row.accepted_at is not None:
                raise RequestRejected("conflict", "it is accepted already; take the role away instead")
            change = update(invitation).where(mine, invitation.c.revoked_at.is_(None))
            if not (await connection.execute(change.values(revoked_at=at))).rowcount:
                return False
            noted(connection, Event("invitation_revoked", None, invitation_id, detail={"tenant": tenant_id}))
            return True

    async def invitation(self, digest: bytes) -> Invitation | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(select(invitation).where(invitation.c.token_hash == digest))).first()
            return None if row is None else to_invitation(row)

    async def invited(self, address_key: str, entitled: Callable[[Member, Invitation], bool]) -> bool:
        waiting = select(invitation).where(invitation.c.address_key == address_key, is_in("open", self._clock.now()))
        async with self._database.reading() as connection:
            for row in (await connection.execute(waiting)).all():
                by = await find_member(connection, row.tenant_id, row.invited_by)
                if by is not None and entitled(by, to_invitation(row)):
                    return True
            return False

    async def accept(
        self, digest: bytes, account_id: str, entitled: Callable[[Member, Invitation], bool]
    ) -> Invitation | None:
        at = self._clock.now()
        mine = select(email.c.id).where(
            email.c.account_id == account_id, email.c.key == invitation.c.address_key, email.c.verified_at.is_not(None)
        )
        theirs = and_(invitation.c.token_hash == digest, mine.exists())
        async with self._database.writing() as connection:
            who = select(invitation.c.invited_by).where(invitation.c.token_hash == digest)
            inviter = (await connection.execute(who)).scalar()
            for one in sorted({account_id, inviter or account_id}):  # neither is disabled or lowered meanwhile
                await hold_account(connection, one)
            await require_live(connection, account_id)
            row = (await connection.execute(select(invitation).where(theirs))).first()
            if row is None:
                return None
            await hold(connection, "tenant", row.tenant_id)
            change = update(invitation).where(invitation.c.id == row.id, is_in("open", at))
            by = await find_member(connection, row.tenant_id, row.invited_by)
            if by is None or not entitled(by, to_invitation(row)):
                if (await connection.execute(change.values(revoked_at=at))).rowcount:
                    detail: Detail = {"tenant": row.tenant_id}
                    noted(connection, Event("invitation_revoked", None, row.id, detail=detail))
                return None
            if not (await connection.execute(change.values(accepted_at=at, accepted_by=account_id))).rowcount:
                return None
            held = replace(to_invitation(row), accepted_at=at, accepted_by=account_id)
            await put_assignment(connection, self._clock, account_id, held.tenant_id, held.role, held.permission)
            noted(connection, Event("invitation_accepted", account_id, held.id, detail={"tenant": held.tenant_id}))
            return held


async def _require_role(connection: AsyncConnection, slug: str) -> None:
    if (await connection.execute(select(role.c.id).where(role.c.slug == slug))).first() is None:
        raise RequestRejected("invalid_value", "there is no such role")
