"""How Navak's API words sessions and faults: `{error}`, and whole seconds since the epoch."""

from collections.abc import Mapping

from gateway.errors import GatewayError
from gateway.identity.model import HeldGrant
from gateway.identity.origin import platform
from gateway.login.dialect import Reply, replied
from gateway.wire.problems import PROBLEMS, told

NOT_READY = "The auth id is invalid, expired, or not yet authorized"  # the seed's words
CLOSED = "Registration is closed"

_STATUSES: Mapping[str, int] = {"code_wrong": 400, "invalid_value": 400}
_TEXTS: Mapping[str, str] = {
    "code_wrong": NOT_READY,
    "conflict": "Username is already taken",
    "too_many_attempts": "Slow down",
}


def failed(fault: GatewayError) -> Reply:
    problem = PROBLEMS[fault.code]
    # a poll is told nothing; a wrong password, for a change of address, is told as one
    text = fault.detail if fault.code == "code_wrong" and fault.detail else _TEXTS.get(fault.code)
    text = text or told(fault) or problem.title
    return replied({"error": text}, _STATUSES.get(fault.code, problem.status))


def handed(token: str) -> Reply:
    return replied({"session_token": token})


def listed(held: HeldGrant, current: str | None) -> Mapping[str, object]:
    """session_platform: as its client called itself."""
    grant = held.grant
    return {
        "id": grant.id,
        "session_platform": grant.name or platform(held.user_agent),
        "ip": held.ip,
        "created_at": int(grant.created_at),
        "last_used_at": None if grant.last_used_at is None else int(grant.last_used_at),
        "expiration_date": int(grant.expires_at),
        "current": grant.id == current,
    }
