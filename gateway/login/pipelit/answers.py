"""How Pipelit's API words sessions, keys and faults: FastAPI's `{"detail": ...}`."""

from collections.abc import Mapping

from gateway.errors import GatewayError
from gateway.identity.model import Account, Grant, HeldGrant
from gateway.login.dialect import Reply, replied
from gateway.login.pipelit.fields import Malformed
from gateway.login.rfc3339 import moment
from gateway.wire.problems import PROBLEMS, told

CREDENTIALS = "Invalid credentials."
SETUP_TOKEN_HEADER = "x-setup-token"  # noqa: S105 - its name

# Pipelit's words, whatever the endpoint.
_TEXTS: Mapping[str, str] = {
    "no_credential": "Invalid or missing API key.",
    "invalid_credential": "Invalid or missing API key.",
    "revoked_credential": "API key has been revoked.",
    "expired_credential": "API key has expired.",
    "no_account": "User not found.",
    "code_wrong": CREDENTIALS,
    "mfa_enabled": "MFA is already enabled.",
    "mfa_not_enabled": "MFA is not enabled.",
    "mfa_code_wrong": "Invalid TOTP code.",
    "too_many_attempts": "Too many attempts. Please wait a minute.",
}
# Of one endpoint, by its path below the mount: status, and words in place of those above.
_HERE: Mapping[tuple[str, str], tuple[int, str]] = {
    ("mfa/verify", "mfa_not_enabled"): (400, "Call /mfa/setup/ first."),
    ("mfa/login-verify", "mfa_code_wrong"): (401, "Invalid TOTP code."),
    ("mfa/login-verify", "mfa_not_enabled"): (401, CREDENTIALS),
    ("setup", "conflict"): (409, "Setup already completed."),
    ("setup", "forbidden"): (403, f"Setup from elsewhere needs the gateway's setup token in {SETUP_TOKEN_HEADER}."),
    ("keys", "not_found"): (404, "API key not found."),
    ("keys", "invalid_value"): (400, ""),
}
_MFA_TOO_MANY = "Too many MFA attempts. Please wait a minute."


def failed(fault: GatewayError, where: str) -> Reply:
    """where: the endpoint's path below the mount, `keys` for API keys."""
    if isinstance(fault, Malformed):
        return replied({"detail": fault.entries}, 422)
    if fault.code == "bad_parameter":
        entry = {"type": "json_invalid", "loc": ["body"], "msg": "JSON decode error", "ctx": {"error": fault.detail}}
        return replied({"detail": [entry]}, 422)
    if fault.code == "too_many_attempts" and where.startswith("mfa/"):
        return replied({"detail": _MFA_TOO_MANY}, 429)
    problem = PROBLEMS[fault.code]
    status, text = _HERE.get((where, fault.code), (problem.status, ""))
    return replied({"detail": text or _TEXTS.get(fault.code) or told(fault) or problem.title}, status)


def logged_in(secret: str) -> Mapping[str, object]:
    return {"key": secret, "requires_mfa": False}


def shown_name(account: Account) -> str:
    """What stands for a username: accounts of other login APIs may have none."""
    return account.owner.username or account.owner.email or account.name


def made_key(secret: str, grant: Grant, now: float) -> Mapping[str, object]:
    """The only time that the key itself is shown."""
    return {**listed_key(HeldGrant(grant, prefix=secret[:8]), now), "key": secret}


def listed_key(held: HeldGrant, now: float) -> Mapping[str, object]:
    grant = held.grant
    return {
        "id": grant.id,
        "name": grant.name,
        "prefix": held.prefix,
        "created_at": moment(grant.created_at),
        "last_used_at": moment(grant.last_used_at),
        "expires_at": moment(grant.expires_at),
        "is_active": grant.revoked_at is None and not grant.ended(now),
    }
