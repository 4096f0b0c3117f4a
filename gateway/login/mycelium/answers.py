"""How Mycelium's API words people, sessions, tokens and faults: camelCase, `{msg, code}`."""

import re
from collections.abc import Mapping
from datetime import datetime

from gateway.errors import GatewayError, RequestRejected
from gateway.identity.model import Account, HeldGrant
from gateway.identity.origin import platform
from gateway.identity.sessions import Session
from gateway.login.dialect import Reply, replied
from gateway.login.rfc3339 import moment
from gateway.wire.problems import PROBLEMS, told

# Mycelium's own codes, where it has one for the same thing; any other fault has our reason code.
_CODES: Mapping[str, str] = {
    "code_wrong": "MYC00008",
    "mfa_enabled": "MYC00021",
    "mfa_not_enabled": "MYC00022",
    "mfa_code_wrong": "MYC00023",
}
_STATUSES: Mapping[str, int] = {"invalid_value": 400}  # Mycelium's answer to an address that is none


# section 5.6; the zone is not optional
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
).fullmatch


def failed(fault: GatewayError, request_id: str) -> Reply:
    problem = PROBLEMS[fault.code]
    status = _STATUSES.get(fault.code, problem.status)
    body = {
        "msg": told(fault) or problem.title,
        "code": _CODES.get(fault.code, fault.code),
        "request_id": request_id,
    }
    return replied(body, status)


def logged_in(session: Session) -> Reply:
    """The seed's `token` and `type`, the source's `duration`, both spellings of what is still to come, the user."""
    pending = session.grant.restricted
    body = {
        "token": session.token,
        "type": "Bearer",
        "duration": session.duration,
        "totp_required": pending,
        "totpRequired": pending,
    }
    return replied({**body, **user(session.account)})


def user(account: Account) -> Mapping[str, object]:
    owner = account.owner
    name, _, domain = owner.email.rpartition("@")
    found: dict[str, object] = {
        "id": owner.id,
        "username": owner.username or owner.email,
        "email": {"username": name, "domain": domain},
        "isActive": owner.is_active,
        "isPrincipal": True,
        "account": account.id,
    }
    names = {"firstName": owner.first_name, "lastName": owner.last_name}
    return found | {key: value for key, value in names.items() if value is not None}


def listed_session(held: HeldGrant, current: str | None) -> Mapping[str, object]:
    grant = held.grant
    return {
        "id": grant.id,
        "kind": grant.kind,
        "dialect": grant.dialect,
        "platform": platform(held.user_agent) or grant.name,
        "ip": held.ip,
        "createdAt": moment(grant.created_at),
        "lastUsedAt": moment(grant.last_used_at),
        "expiresAt": moment(grant.expires_at),
        "current": grant.id == current,
    }


def listed_token(held: HeldGrant) -> Mapping[str, object]:
    """Never the secret, and no part of it."""
    grant = held.grant
    return {
        "id": grant.id,
        "name": grant.name,
        "tenantId": grant.tenant_id,
        "accountId": grant.account_id,
        "role": grant.role,
        "permission": grant.permission,
        "createdAt": moment(grant.created_at),
        "expiresAt": moment(grant.expires_at),
        "lastUsedAt": moment(grant.last_used_at),
        "revokedAt": moment(grant.revoked_at),
    }


def instant(text: str, name: str) -> float:
    """Seconds since the epoch of an RFC 3339 date-time. Raises RequestRejected("bad_parameter")."""
    try:
        if not _RFC3339(text):
            raise ValueError
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise RequestRejected(
            "bad_parameter", f"{name} must be a date-time with a zone, as RFC 3339 writes it."
        ) from None
