"""JSON Web Tokens: which claims hold, and until when."""

from collections.abc import Mapping

import pytest

from gateway.identity.tokens import (
    ASYMMETRIC,
    Rules,
    TokenExpired,
)

from .forge import (
    AUDIENCE,
    ISSUER,
    NOW,
    rsa_key,
    token,
)
from .relying import RSA, claims, read, refusal


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": "1800000600"},
        {"exp": True},
        {"exp": [1]},
        {"exp": 1e308},
        {"exp": 10**400},
        {"exp": (NOW + 600) * 1000},
        {"aud": None},
        {"aud": "other"},
        {"aud": "Gateway"},
        {"aud": []},
        {"aud": ["other"]},
        {"aud": ["gateway", 1]},
        {"aud": {"gateway": 1}},
        {"aud": 1},
        {"iss": ISSUER + "/"},
        {"iss": ISSUER.upper()},
        {"iss": "http://id.example"},
        {"sub": 7},
        {"jti": 7},
        {"nbf": NOW + 1},
        {"nbf": "soon"},
        {"iat": NOW + 1},
        {"iat": True},
        {"iat": 1e308},
    ],
    ids=str,
)
def test_claims_that_do_not_hold_are_refused(changes: Mapping[str, object]) -> None:
    """S-30, S-31: exp, aud and iss are needed and exact; times are numbers of seconds, and have begun."""
    assert refusal(token(RSA, claims=claims(**changes))) == "invalid_credential"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["other", "gateway"]},
        {"exp": NOW + 0.5},
        {"iat": None},
        {"nbf": NOW},
        {"nbf": NOW - 0.5},
        {"sub": None},
        {"iat": 0},
    ],
    ids=str,
)
def test_claims_that_hold_are_accepted(changes: Mapping[str, object]) -> None:
    """A list of audiences, fractions, and what is optional."""
    assert read(token(RSA, claims=claims(**changes)))["iss"] == ISSUER


@pytest.mark.parametrize(
    ("name", "at", "leeway", "code"),
    [
        ("exp", NOW, 0, "expired_credential"),
        ("exp", NOW + 0.001, 0, None),
        ("exp", NOW - 30, 30, "expired_credential"),
        ("exp", NOW - 29.999, 30, None),
        ("exp", -1, 30, "expired_credential"),
        ("nbf", NOW + 30, 30, None),
        ("nbf", NOW + 30.001, 30, "invalid_credential"),
        ("iat", NOW + 30, 30, None),
        ("iat", NOW + 30.001, 30, "invalid_credential"),
    ],
)
def test_leeway_ends_at_its_edge(name: str, at: float, leeway: float, code: str | None) -> None:
    """S-31: both sides of each edge; a token is over on its `exp` (RFC 7519 section 4.1.4)."""
    rules = Rules(ISSUER, (AUDIENCE,), ASYMMETRIC, frozenset({"jwt"}), leeway=leeway)
    raw = token(RSA, claims=claims(**{name: at}))
    if code is None:
        assert read(raw, rules)["sub"] == "alice"
    else:
        assert refusal(raw, rules) == code


@pytest.mark.parametrize(
    ("name", "at", "code"),
    [
        ("iat", NOW + 20, None),
        ("iat", NOW + 20.001, "invalid_credential"),
        ("nbf", NOW + 20, None),
        ("exp", NOW, "expired_credential"),
    ],
)
def test_a_beginning_alone_may_be_early(name: str, at: float, code: str | None) -> None:
    """By the clock of another node of ours; what is over is over."""
    rules = Rules(ISSUER, (AUDIENCE,), ASYMMETRIC, frozenset({"jwt"}), early=20.0)
    raw = token(RSA, claims=claims(**{name: at}))
    if code is None:
        assert read(raw, rules)["sub"] == "alice"
    else:
        assert refusal(raw, rules) == code


def test_an_expired_token_is_told_from_a_wrong_one() -> None:
    """The client may refresh the one and must not repeat the other."""
    with pytest.raises(TokenExpired):
        read(token(RSA, claims=claims(exp=1)))


def test_an_expired_token_with_a_wrong_signature_is_a_wrong_one() -> None:
    """Nothing that a token says counts before its signature."""
    assert refusal(token(rsa_key(name="other"), claims=claims(exp=1))) == "invalid_credential"


def test_a_subject_may_be_a_number_where_the_rules_say_so() -> None:
    """verify_sub: false is for issuers that write one."""
    rules = Rules(ISSUER, (AUDIENCE,), ASYMMETRIC, frozenset({"jwt"}), verify_sub=False)
    assert read(token(RSA, claims=claims(sub=7)), rules)["sub"] == 7


def test_an_algorithm_outside_the_rules_is_refused_though_the_key_could() -> None:
    """S-28: the configuration lists the algorithms of an issuer."""
    rules = Rules(ISSUER, (AUDIENCE,), frozenset({"PS256"}), frozenset({"jwt"}))
    assert refusal(token(RSA), rules) == "invalid_credential"
