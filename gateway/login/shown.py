"""Accounts, tenants, roles, credentials and keys as JSON: the same members wherever they are shown, by a command or by
a call of the admin API."""

from collections.abc import Mapping

from gateway.identity.model import Account, Assignment, Grant, Invitation, KeyRecord, Member, Tenant
from gateway.login.rfc3339 import moment

Fields = Mapping[str, object]


def account(found: Account) -> Fields:
    owner = found.owner
    return {"id": found.id, "email": owner.email, "username": owner.username, "status": found.status}


def account_details(found: Account) -> Fields:
    return {
        **account(found),
        "name": found.name,
        "kind": found.kind,
        "userId": found.owner.id,
        "isStaff": found.is_staff,
        "isManager": found.is_manager,
    }


def requirement(found: Account) -> Fields:
    return {**account(found), "mfaRequired": found.mfa_policy == "required"}


def tenant(found: Tenant) -> Fields:
    return {"id": found.id, "name": found.name, "accountId": found.account_id}


def assignment(held: Assignment) -> Fields:
    return {
        "accountId": held.account_id,
        "tenantId": held.tenant_id,
        "tenantName": held.tenant_name,
        "role": held.role,
        "roleId": held.role_id,
        "permission": held.permission,
        "accepted": held.accepted,
    }


def member(found: Member) -> Fields:
    owner = found.account.owner
    return {
        "accountId": found.account.id,
        "name": found.account.name,
        "email": owner.email,
        "username": owner.username,
        "status": found.account.status,
        "ownerSince": moment(found.owner_since),
        "roles": [{"role": role, "permission": permission} for role, permission in found.roles],
    }


def invitation(found: Invitation, now: float) -> Fields:
    """Never the token."""
    return {
        "id": found.id,
        "tenantId": found.tenant_id,
        "email": found.address,
        "role": found.role,
        "permission": found.permission,
        "state": found.state(now),
        "invitedBy": found.invited_by,
        "createdAt": moment(found.created_at),
        "expiresAt": moment(found.expires_at),
        "acceptedAt": moment(found.accepted_at),
        "acceptedBy": found.accepted_by,
        "revokedAt": moment(found.revoked_at),
    }


def grant(found: Grant) -> Fields:
    """Never the secret, and no part of it."""
    return {
        "id": found.id,
        "kind": found.kind,
        "presentation": found.presentation,
        "dialect": found.dialect,
        "name": found.name,
        "tenantId": found.tenant_id,
        "role": found.role,
        "createdAt": moment(found.created_at),
        "expiresAt": moment(found.expires_at),
        "lastUsedAt": moment(found.last_used_at),
        "revokedAt": moment(found.revoked_at),
    }


def key(found: KeyRecord) -> Fields:
    return {
        "id": found.id,
        "kind": found.kind,
        "purpose": found.purpose,
        "algorithm": found.algorithm,
        "state": found.state,
        "createdAt": moment(found.created_at),
        "liveGrants": found.live_grants if found.kind == "mac" else None,
    }
