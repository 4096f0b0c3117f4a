"""What the claims of a verified token have to say (RFC 7519 section 4.1, RFC 8725), with the time as an argument."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.identity.compact import TokenExpired, TokenInvalid

Claims = Mapping[str, object]

MAX_TIME: Final = 1e11  # the year 5138: a greater number is milliseconds or nonsense, not a long life


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for the tokens of one issuer.

    types: accepted `typ`, lower case, None for absent. leeway: seconds of clock difference forgiven; early: for a
    beginning alone, more of it. verify_sub: False lets a `sub` be a number (some issuers write one).
    """

    issuer: str
    audiences: tuple[str, ...]
    algorithms: frozenset[str]
    types: frozenset[str | None]
    leeway: float = 0.0
    verify_sub: bool = True
    early: float = 0.0


def check(claims: Claims, rules: Rules, now: float) -> None:
    """now: seconds since the epoch. Raises TokenInvalid, TokenExpired."""
    _check_names(claims, rules)
    _check_times(claims, rules, now)


def _check_names(claims: Claims, rules: Rules) -> None:
    """RFC 7519 sections 4.1.1 to 4.1.3 and 4.1.7. `aud` is one text or a list of texts; one of ours must be there."""
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
        raise TokenInvalid("aud is missing or not text")
    if claims.get("iss") != rules.issuer or not any(one in audiences for one in rules.audiences):
        raise TokenInvalid("iss or aud is another one")
    if rules.verify_sub and not isinstance(claims.get("sub", ""), str):
        raise TokenInvalid("sub is not text")
    if not isinstance(claims.get("jti", ""), str):
        raise TokenInvalid("jti is not text")


def _check_times(claims: Claims, rules: Rules, now: float) -> None:
    """RFC 7519 sections 4.1.4 to 4.1.6: over on and after `exp` + leeway, begun with `nbf`, `iat` - leeway - early."""
    expires = _time(claims, "exp")
    if expires + rules.leeway <= now:
        raise TokenExpired
    for name in ("nbf", "iat"):
        if claims.get(name) is not None and _time(claims, name) > now + rules.leeway + rules.early:
            raise TokenInvalid("the token is not valid yet")


def _time(claims: Claims, name: str) -> float:
    value = claims.get(name)
    # The comparison is false for NaN, and works for an int that no float can hold.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_TIME <= value <= MAX_TIME:
        raise TokenInvalid(f"{name} is not a time in seconds")
    return float(value)
