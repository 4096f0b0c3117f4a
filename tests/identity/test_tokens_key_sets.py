"""JSON Web Tokens: which foreign keys are taken, and what we publish of ours."""

import json

import pytest

from gateway.identity.compact import parse
from gateway.identity.tokens import (
    MAX_KEYS,
    KeySetError,
    mint,
    parse_jwks,
    public_jwks,
    verify,
)

from .forge import (
    CLAIMS,
    NOW,
    b64,
    ec_point_digest,
    ed448_key,
    jwk,
    jwks,
    private_key,
    rsa_key,
    signing_key,
    token,
)
from .relying import RSA, RULES, refusal

FIRST = jwk(RSA, "k1")
SPARE = jwk(private_key("ES256"), "spare")
UNUSABLE: dict[str, object] = {
    "use enc": jwk(RSA, use="enc"),
    "use a list": jwk(RSA, use=["sig"]),
    "key_ops without verify": jwk(RSA, key_ops=["encrypt"]),
    "key_ops not a list": jwk(RSA, key_ops="verify"),
    "alg of encryption": jwk(RSA, alg="RSA-OAEP"),
    "alg of another kind": jwk(RSA, alg="ES256"),
    "alg none": jwk(RSA, alg="none"),
    "alg HS256": jwk(RSA, alg="HS256"),
    "alg not text": jwk(RSA, alg=["RS256"]),
    "no kid": {name: value for name, value in FIRST.items() if name != "kid"},
    "kid not text": jwk(RSA, kid=1),  # type: ignore[arg-type]
    "private d": jwk(RSA, d="AQAB"),
    "private p": jwk(RSA, p="AQAB"),
    "secret": {"kty": "oct", "k": b64(b"s" * 64), "kid": "k1"},
    "secret that says RS256": {"kty": "oct", "k": b64(b"s" * 64), "kid": "k1", "alg": "RS256"},
    "secret beside n and e": jwk(RSA, k=b64(b"s" * 64)),
    "unknown kty": {"kty": "PQC", "kid": "k1"},
    "kty not text": jwk(RSA, kty=["RSA"]),
    "no kty": {"kid": "k1"},
    "RSA of 1024 bits": jwk(rsa_key(1024)),
    "RSA of 16384 bits": {"kty": "RSA", "kid": "k1", "n": b64(b"\xff" * 2048), "e": "AQAB"},
    "RSA with e = 1": jwk(RSA, e="AQ"),
    "RSA without n": {"kty": "RSA", "kid": "k1", "e": "AQAB"},
    "n not base64url": jwk(RSA, n="+/=="),
    "n a number": jwk(RSA, n=5),
    "EC off the curve": {**jwk(private_key("ES256")), "y": ec_point_digest("y")},
    "EC unknown curve": {**jwk(private_key("ES256")), "crv": "secp256k1"},
    "EC without curve": {name: value for name, value in jwk(private_key("ES256")).items() if name != "crv"},
    "EC alg of another curve": jwk(private_key("ES256"), alg="ES384"),
    "Ed448": {"kty": "OKP", "crv": "Ed448", "kid": "k1", "x": b64(ed448_key().public_key().public_bytes_raw())},
    "X25519": {"kty": "OKP", "crv": "X25519", "kid": "k1", "x": b64(b"\x09" + bytes(31))},
    "not an object": "k1",
}


@pytest.mark.parametrize("entry", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unusable_key_is_skipped_and_the_rest_is_kept(entry: object) -> None:
    """S-32: one key that is not for us does not cost the others (Mycelium lost the whole set)."""
    assert set(parse_jwks(jwks(entry, SPARE))) == {"spare"}


@pytest.mark.parametrize(
    "entry",
    [
        FIRST,
        jwk(RSA, use="sig", alg="RS256", key_ops=["verify"]),
        jwk(RSA, key_ops=["sign", "verify"], x5t="unknown members are ignored"),
        jwk(private_key("EdDSA"), alg="EdDSA"),
        jwk(private_key("ES512")),
    ],
)
def test_a_usable_key_is_taken(entry: dict[str, object]) -> None:
    """RFC 7517: the optional members may be there or not."""
    assert set(parse_jwks(jwks(entry))) == {"k1"}


def test_a_key_that_names_its_algorithm_is_for_no_other() -> None:
    """RFC 7517 section 4.4: RS256 in the JWK means that PS256 tokens are refused."""
    assert refusal(token(RSA, "PS256"), document=jwks(jwk(RSA, alg="RS256"))) == "invalid_credential"


def test_two_keys_of_one_kid_are_both_refused() -> None:
    """S-32: which of the two was meant is anybody's guess."""
    assert set(parse_jwks(jwks(FIRST, jwk(rsa_key(name="other"), "k1"), SPARE))) == {"spare"}


def test_a_published_private_key_takes_its_public_half_with_it() -> None:
    """S-32: the same kid with its private members beside it is a key that everybody has."""
    assert set(parse_jwks(jwks(FIRST, jwk(RSA, d="AQAB"), SPARE))) == {"spare"}


def test_a_key_for_encryption_may_share_the_kid() -> None:
    """It is none of the keys that a signature could mean."""
    assert set(parse_jwks(jwks(FIRST, jwk(rsa_key(name="other"), use="enc")))) == {"k1"}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html></html>",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b'{"keys":null}',
        b'{"keys":[],"keys":[]}',
        b"[" * 100_000,
        jwks(UNUSABLE["secret"]),
        jwks(*[jwk(RSA, f"k{number}") for number in range(MAX_KEYS + 1)]),
    ],
    ids=lambda document: document[:20].decode(),
)
def test_a_document_without_usable_keys_is_refused(document: bytes) -> None:
    """S-32: whoever holds older keys keeps them, so this is an error and not an empty set."""
    with pytest.raises(KeySetError):
        parse_jwks(document)


def test_a_set_may_hold_100_keys() -> None:
    """The other side of the bound."""
    assert len(parse_jwks(jwks(*[jwk(RSA, f"k{number}") for number in range(MAX_KEYS)]))) == MAX_KEYS


def test_our_key_set_verifies_our_tokens() -> None:
    """What is published is enough for a service, in every algorithm that has a public half."""
    keys = [signing_key(name, kid=name) for name in ("EdDSA", "RS256", "ES256")]
    published = parse_jwks(json.dumps(public_jwks(keys)).encode())
    for key in keys:
        assert verify(parse(mint(CLAIMS, key).encode()), published[key.kid], RULES, NOW)["sub"] == "alice"


def test_our_key_set_holds_no_secret() -> None:
    """No private member, no HS512 key, and the secret nowhere in the text."""
    document = public_jwks([signing_key("HS512", "h"), signing_key("RS256", "r"), signing_key("EdDSA", "e")])
    assert [entry["kid"] for entry in document["keys"]] == ["r", "e"]
    assert all(not {"d", "p", "q", "dp", "dq", "qi", "k"} & entry.keys() for entry in document["keys"])
    assert all((entry["use"], entry["key_ops"]) == ("sig", ["verify"]) for entry in document["keys"])


def test_the_assertion_key_is_published() -> None:
    """Services verify assertions with it."""
    key = signing_key("EdDSA", "a", purpose="assertion")
    assert [entry["kid"] for entry in public_jwks([key])["keys"]] == ["a"]
