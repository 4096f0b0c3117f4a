"""New keys, digests and claims: pure values of the grant and key modules."""

import pytest

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.grants import check_lifetime, secret_digest, session_claims
from gateway.identity.keys import SECRET_BYTES, Algorithm, active, generate
from gateway.identity.model import Account, Grant, Owner, SigningKey
from gateway.identity.tokens import mint, verifying_key


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256", "ES256", "HS512"])
def test_a_new_key_is_of_its_algorithm(algorithm: Algorithm) -> None:
    """It signs, and its verifying half takes that algorithm alone."""
    key = generate(algorithm, "token", Clock())
    assert mint({"sub": "x"}, key).count(".") == 2
    assert verifying_key(key).algorithms == {algorithm}


def test_an_hs512_secret_is_as_long_as_the_hash() -> None:
    """RFC 7518 section 3.2."""
    assert len(generate("HS512", "token", Clock()).private) == SECRET_BYTES == 64


def test_a_key_does_not_show_its_secret() -> None:
    """In a traceback or a log line."""
    key = generate("HS512", "token", Clock(token_bytes=lambda count: b"s" * count))
    assert "ssss" not in repr(key)


@pytest.mark.parametrize("state", ["next", "retiring"])
def test_only_an_active_key_signs(state: str) -> None:
    """With none of that purpose there is no token."""
    keys = [SigningKey("a", "EdDSA", b"", state, "token"), SigningKey("b", "EdDSA", b"", "active", "assertion")]
    assert active(keys, "assertion").kid == "b"
    with pytest.raises(RequestRejected, match="no active token key"):
        active(keys, "token")


def test_a_digest_depends_on_its_kind() -> None:
    """The same bytes as a token and as a connection string are two credentials."""
    assert secret_digest("opaque", b"x") != secret_digest("connstr", b"x")
    assert len(secret_digest("opaque", b"x")) == 32


def test_the_claims_of_a_session_name_its_grant() -> None:
    """Times in whole seconds: a fraction would be refused by some readers."""
    grant = Grant("g", "a", "session", "jwt", 1000.7, 1060.7, aal=2)
    account = Account("a", "Ada", Owner("u", "ada@example.org"))
    assert session_claims(grant, account, "https://gw", "api") == {
        "iss": "https://gw",
        "aud": "api",
        "sub": "a",
        "sid": "g",
        "email": "ada@example.org",
        "iat": 1000,
        "exp": 1060,
        "aal": 2,
    }


@pytest.mark.parametrize("seconds", [1.0, 10.0])
def test_a_lifetime_at_a_bound_is_taken(seconds: float) -> None:
    """One second, and the longest."""
    check_lifetime(seconds, 10.0)


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.9, 10.1, float("nan"), float("inf")])
def test_a_lifetime_out_of_bounds_is_refused(seconds: float) -> None:
    """What is not a number is out of bounds too."""
    with pytest.raises(RequestRejected, match="invalid_value"):
        check_lifetime(seconds, 10.0)
