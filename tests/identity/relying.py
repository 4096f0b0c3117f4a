"""Who relies on tokens: the rules and keys by which the tests read them."""

import pytest

from gateway.errors import RequestRejected
from gateway.identity.compact import parse
from gateway.identity.tokens import (
    ASYMMETRIC,
    Claims,
    Rules,
    parse_jwks,
    verify,
)

from .forge import (
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    jwk,
    jwks,
    rsa_key,
)

RULES = Rules(ISSUER, (AUDIENCE,), ASYMMETRIC, frozenset({None, "jwt"}))


RSA = rsa_key()


KEYS = parse_jwks(jwks(jwk(RSA)))


def read(raw: bytes, rules: Rules = RULES, document: bytes | None = None, now: float = NOW) -> Claims:
    keys = KEYS if document is None else parse_jwks(document)
    return verify(parse(raw), keys["k1"], rules, now)


def claims(**changes: object) -> dict[str, object]:
    """The good claims with these changes; one that is None is left out."""
    return {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}


def refusal(raw: bytes, rules: Rules = RULES, document: bytes | None = None, now: float = NOW) -> str:
    with pytest.raises(RequestRejected) as caught:
        read(raw, rules, document, now)
    assert raw.decode(errors="replace") not in str(caught.value)
    return caught.value.code
