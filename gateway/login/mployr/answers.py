"""How Mployr's API words people, tokens and faults: `{success, data}` and `{success, message}`."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.errors import GatewayError
from gateway.identity.model import Account
from gateway.login.dialect import Reply, replied
from gateway.login.mployr.fields import Invalid
from gateway.wire.problems import PROBLEMS, told

LIFETIME = 86400.0  # seconds: the seed's `expires_in`
INVALID = "The given data was invalid."
LATER = 60  # seconds, where a limit does not say how long to wait


@dataclass(frozen=True, slots=True)
class Words:
    """member: of the body, that the message is about."""

    status: int
    message: str
    member: str = ""


# The seed's two: the token is no good; it is, and does not suffice.
_SEED: Mapping[int, str] = {401: "Unauthenticated.", 403: "This action is unauthorized."}
_ENABLED = Words(409, "Two-factor authentication is already enabled.")
_NOT_ENABLED = Words(409, "Two-factor authentication is not enabled.")
_WRONG_CODE = Words(422, "The two-factor code is invalid.", "code")
_OVER = Words(401, "Session expired. Please log in again.")  # of a login that was begun

# By endpoint, below the mount, and reason code.
_AT: Mapping[tuple[str, str], Words] = {
    ("/login", "code_wrong"): Words(401, "Invalid credentials."),
    ("/2fa/verify", "code_wrong"): _OVER,
    ("/2fa/verify", "mfa_not_enabled"): _OVER,  # it was taken away meanwhile
    ("/2fa/enable", "mfa_not_enabled"): Words(409, "Set up two-factor authentication first."),
    ("/2fa/disable", "code_wrong"): Words(422, "The password is incorrect.", "password"),
}
_ANYWHERE: Mapping[str, Words] = {
    "mfa_enabled": _ENABLED,
    "mfa_not_enabled": _NOT_ENABLED,
    "mfa_code_wrong": _WRONG_CODE,
    "login_too_old": Words(401, "Please log in again to set up two-factor authentication."),
}


def done(data: Mapping[str, object]) -> Reply:
    return replied({"success": True, "data": data})


def failed(fault: GatewayError, place: str) -> Reply:
    """place: the endpoint's path below the mount."""
    if isinstance(fault, Invalid):
        return _invalid(fault.wrong)
    words = _AT.get((place, fault.code)) or _ANYWHERE.get(fault.code)
    if words is None:
        return _other(fault)
    if words.member:
        return _invalid({words.member: words.message})
    return replied({"success": False, "message": words.message}, words.status)


def logged_in(token: str, account: Account) -> Reply:
    body = {"token": token, "token_type": "Bearer", "expires_in": round(LIFETIME), "user": user(account)}
    return done(body)


def user(account: Account) -> Mapping[str, object]:
    """id: a number, as the seed has it."""
    return {"id": account.num, "name": account.name, "email": account.owner.email}


def _invalid(wrong: Mapping[str, str]) -> Reply:
    errors = {name: [message] for name, message in wrong.items()}
    return replied({"success": False, "message": INVALID, "errors": errors}, 422)


def _other(fault: GatewayError) -> Reply:
    problem = PROBLEMS[fault.code]
    body: dict[str, object] = {"success": False, "message": _SEED.get(problem.status, told(fault) or problem.title)}
    if problem.status == 429:
        wait = LATER if fault.retry_after is None else fault.retry_after
        body |= {"message": "Too Many Requests", "retry_after": wait}
    return replied(body, problem.status)
