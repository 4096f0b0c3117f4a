"""Rows to values, and the statements that most changes need."""

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Update, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import RequestRejected
from gateway.identity.challenge import Challenge
from gateway.identity.model import Account, Grant, Owner
from gateway.store.seal import Sealer, code_place, draft_place
from gateway.store.tables import account, email, grant_

Values = dict[str, Any]  # the columns of one row


@cache
def select_accounts() -> Select[Any]:
    """Accounts with the address that speaks for them: the primary one, once it is verified.

    Made once, as what is built on it makes another: building took a third of the loop's time for a login.
    """
    address = and_(email.c.account_id == account.c.id, email.c.is_primary, email.c.verified_at.is_not(None))
    columns = (account, func.coalesce(email.c.address, "").label("address"))
    return select(*columns).select_from(account.outerjoin(email, address))


async def require_account(connection: AsyncConnection, account_id: str) -> Account:
    """Raises RequestRejected("not_found")."""
    row = (await connection.execute(select_accounts().where(account.c.id == account_id))).first()
    if row is None:
        raise RequestRejected("not_found", f"there is no account {account_id}")
    return to_account(row)


async def changed(connection: AsyncConnection, account_id: str) -> None:
    """Its password or factors are others now: a login that began before does not end in a grant."""
    await connection.execute(update(account).where(account.c.id == account_id).values(epoch=account.c.epoch + 1))


def overtaken(account_id: str, epoch: int) -> Update:
    """The same, if nothing has changed since the account had this epoch: one of parallel ones does it."""
    mine = and_(account.c.id == account_id, account.c.epoch == epoch)
    return update(account).where(mine).values(epoch=epoch + 1)


def require_kept(value: Account) -> None:
    """Raises RequestRejected("conflict") for an account that was deleted: it stays so."""
    if value.deleted or value.status == "deleted":
        raise RequestRejected("conflict", f"account {value.id} is deleted")


async def require_live(connection: AsyncConnection, account_id: str) -> Account:
    """Raises RequestRejected: "not_found", or "conflict" when its credentials may not be used."""
    found = await require_account(connection, account_id)
    if not found.is_live:
        raise RequestRejected("conflict", f"account {account_id} is not active")
    return found


def to_account(row: Row[Any]) -> Account:
    owner = Owner(
        id=row.user_id,
        email=row.address,
        is_active=row.status == "active",
        username=row.username,
        first_name=row.first_name,
        last_name=row.last_name,
    )
    return Account(
        id=row.id,
        name=row.name,
        owner=owner,
        kind=row.kind,
        status=row.status,
        approved=row.approved,
        archived=row.archived,
        deleted=row.deleted,
        is_staff=row.is_staff,
        is_manager=row.is_manager,
        num=row.num,
        epoch=row.epoch,
        mfa_policy=row.mfa_policy,
    )


def from_account(value: Account, at: float) -> Values:
    return {
        "id": value.id,
        "num": select(func.coalesce(func.max(account.c.num), 0) + 1).scalar_subquery(),
        "kind": value.kind,
        "status": value.status,
        "name": value.name,
        "user_id": value.owner.id,
        "username": value.owner.username,
        "first_name": value.owner.first_name,
        "last_name": value.owner.last_name,
        "approved": value.approved,
        "archived": value.archived,
        "deleted": value.deleted,
        "is_staff": value.is_staff,
        "is_manager": value.is_manager,
        "mfa_policy": value.mfa_policy,
        "created_at": at,
        "updated_at": at,
    }


def to_grant(row: Row[Any]) -> Grant:
    return Grant(
        id=row.id,
        account_id=row.account_id,
        kind=row.kind,
        presentation=row.presentation,
        created_at=row.created_at,
        expires_at=row.expires_at,
        tenant_id=row.tenant_id,
        role=row.role,
        permission=row.permission,
        name=row.name,
        dialect=row.dialect,
        scopes=frozenset(row.scopes.split()),
        aal=row.aal,
        amr=tuple(row.amr.split()),
        restricted=row.restricted,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        idle=row.idle,
    )


def from_grant(value: Grant) -> Values:
    return {
        "id": value.id,
        "account_id": value.account_id,
        "kind": value.kind,
        "presentation": value.presentation,
        "created_at": value.created_at,
        "expires_at": value.expires_at,
        "tenant_id": value.tenant_id,
        "role": value.role,
        "permission": value.permission,
        "name": value.name,
        "dialect": value.dialect,
        "scopes": " ".join(sorted(value.scopes)),
        "aal": value.aal,
        "amr": " ".join(value.amr),
        "restricted": value.restricted,
        "last_used_at": value.last_used_at,
        "revoked_at": value.revoked_at,
        "idle": value.idle,
    }


def from_challenge(value: Challenge, sealer: Sealer) -> Values:
    draft, mac = value.draft, value.code_mac
    return {
        "id": value.id,
        "purpose": value.purpose,
        "state": value.state,
        "dialect": value.dialect,
        "account_id": value.account_id,
        "address": value.address,
        "address_key": value.address_key,
        "grant_id": value.grant_id,
        "code_mac": None if mac is None else sealer.cover(mac, code_place(value.id)),
        "tries_left": value.tries_left,
        "epoch": value.epoch,
        "needs_code": value.needs_code,
        "draft_enc": None if draft is None else sealer.seal(draft.encode(), draft_place(value.id)),
        "platform": value.platform,
        "method": value.method,
        "ip": value.ip,
        "ua": value.user_agent,
        "created_at": value.created_at,
        "expires_at": value.expires_at,
    }


def to_challenge(row: Row[Any], sealer: Sealer) -> Challenge:
    draft, mac = row.draft_enc, row.code_mac
    return Challenge(
        id=row.id,
        purpose=row.purpose,
        created_at=row.created_at,
        expires_at=row.expires_at,
        dialect=row.dialect,
        state=row.state,
        account_id=row.account_id,
        address=row.address,
        address_key=row.address_key,
        grant_id=row.grant_id,
        tries_left=row.tries_left,
        code_mac=None if mac is None else sealer.uncover(mac, code_place(row.id)),
        ip=row.ip,
        user_agent=row.ua,
        epoch=row.epoch,
        needs_code=row.needs_code,
        draft=None if draft is None else sealer.open(draft, draft_place(row.id)).decode(),
        platform=row.platform,
        method=row.method,
    )


def is_live(now: float) -> ColumnElement[bool]:
    return and_(grant_.c.revoked_at.is_(None), grant_.c.expires_at > now)
