"""How MikroCloud's API words logins and faults: no envelope, and a `message` in everything.

What the seed does not say of faults is ours: the wrong token and the wrong password are its 401, the rest follows.
"""

from collections.abc import Mapping

from gateway.errors import GatewayError
from gateway.login.dialect import Reply, replied
from gateway.wire.problems import PROBLEMS, told

# by the last segment of the path. A factor that went since the login began leaves its token worthless.
_REFUSALS: Mapping[tuple[str, str], str] = {
    ("login", "code_wrong"): "Invalid email or password",
    ("passport", "code_wrong"): "Invalid or expired token",
    ("passport", "mfa_not_enabled"): "Invalid or expired token",
    ("passport", "mfa_required"): "One-time password required",
    ("passport", "mfa_code_wrong"): "Invalid one-time password",
}
_NOT_JSON = "bad_parameter"  # of a body that is no object; members are looked at by `user`


def begun(token: str, *, enabled: bool, verified: bool, svg: str | None) -> Reply:
    """svg: of a second factor that has to be set up with this login."""
    return replied(
        {
            "mfa_enabled": enabled,
            "mfa_verified": verified,
            "mfa_svg": svg,
            "message": "Login was successful",
            "token": token,
        }
    )


def passed(auth_token: str, recovery_codes: tuple[str, ...]) -> Reply:
    """recovery_codes: of a factor that was set up just now; else the answer has no such member."""
    codes = {"recovery_codes": list(recovery_codes)} if recovery_codes else {}
    return replied({"message": "Login Successful", "auth_token": auth_token, **codes})


def invalid(errors: Mapping[str, str]) -> Reply:
    """422. errors: what is wrong with which member, without its value."""
    message = next(iter(errors.values()))
    return replied({"message": message, "errors": {name: [text] for name, text in errors.items()}}, 422)


def failed(fault: GatewayError, endpoint: str) -> Reply:
    refusal = _REFUSALS.get((endpoint, fault.code))
    if refusal is not None:
        return replied({"message": refusal}, 401)
    problem = PROBLEMS[fault.code]
    message = told(fault) or problem.title
    if fault.code == _NOT_JSON:
        return replied({"message": message, "errors": {}}, 422)
    return replied({"message": message}, problem.status)
