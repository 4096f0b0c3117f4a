"""JSON Web Tokens: what is read, and whose signature is believed."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.identity.compact import MAX_DEPTH, MAX_KID_BYTES, MAX_TOKEN_BYTES, TokenInvalid, parse
from gateway.identity.model import SigningKey
from gateway.identity.tokens import (
    ASYMMETRIC,
    Rules,
    Signer,
    mint,
    mint_aside,
    verify,
    verifying_key,
)

from .forge import (
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    b64,
    der,
    jwk,
    jwks,
    private_key,
    public_der,
    public_pem,
    rsa_key,
    signing_key,
    token,
)
from .relying import RSA, claims, read, refusal


@pytest.mark.parametrize("algorithm", sorted(ASYMMETRIC))
def test_a_good_token_of_every_algorithm_gives_its_claims(algorithm: str) -> None:
    """Whatever a configured algorithm signed, its public key verifies."""
    key = private_key(algorithm)
    assert read(token(key, algorithm), document=jwks(jwk(key)))["sub"] == "alice"


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256", "ES256", "HS512"])
def test_what_we_mint_we_verify(algorithm: str) -> None:
    """A minted token carries typ and kid, and verifies with the key's other half."""
    key = signing_key(algorithm)
    unverified = parse(mint(CLAIMS, key).encode())
    assert (unverified.typ, unverified.kid, unverified.algorithm) == ("jwt", "k1", algorithm)
    rules = Rules(ISSUER, (AUDIENCE,), frozenset({algorithm}), frozenset({"jwt"}))
    assert verify(unverified, verifying_key(key), rules, NOW) == CLAIMS


@pytest.mark.parametrize(
    ("algorithm", "aside"), [("EdDSA", False), ("ES256", False), ("HS512", False), ("RS256", True)]
)
async def test_what_takes_milliseconds_is_signed_aside(
    algorithm: str, aside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody waits for what the event loop does; for the rest a thread would cost more than it spares."""
    key, signed, to_thread = signing_key(algorithm), list[object](), asyncio.to_thread

    async def noted(work: Callable[..., str], *arguments: object) -> str:
        signed.append(work)
        return await to_thread(work, *arguments)

    monkeypatch.setattr(asyncio, "to_thread", noted)
    unverified = parse((await mint_aside(CLAIMS, key)).encode())
    rules = Rules(ISSUER, (AUDIENCE,), frozenset({algorithm}), frozenset({"jwt"}))
    assert verify(unverified, verifying_key(key), rules, NOW) == CLAIMS
    assert signed == ([mint] if aside else [])


def test_a_minted_token_has_the_type_that_was_asked_for() -> None:
    """The type in the header is the one given, so that an assertion is no session token."""
    raw = mint(CLAIMS, signing_key(), typ="assertion+jwt").encode()
    assert parse(raw).typ == "assertion+jwt"


@pytest.mark.parametrize(
    "key",
    [
        SigningKey("k", "HS512", b"s" * 63, "active"),
        SigningKey("k", "EdDSA", b"not DER", "active"),
        SigningKey("k", "EdDSA", der(private_key("ES256")), "active"),
        SigningKey("k", "ES384", der(private_key("ES256")), "active"),
        SigningKey("k", "RS256", der(rsa_key(1024)), "active"),
        SigningKey("k", "none", b"", "active"),
        SigningKey("k", "ES256", der(ec.generate_private_key(ec.SECP256K1())), "active"),
        SigningKey("k", "ES512", der(ec.generate_private_key(ec.SECP224R1())), "active"),
        SigningKey("k", "HS512", public_pem(RSA), "active"),
    ],
    ids=[
        "short secret",
        "not a key",
        "other kind",
        "other curve",
        "small RSA",
        "none",
        "curve of the same size",
        "curve of no algorithm",
        "public key as a secret",
    ],
)
def test_a_signing_key_that_does_not_fit_its_algorithm_signs_nothing(key: SigningKey) -> None:
    """A key of another kind, curve or size is refused before it is used."""
    with pytest.raises(ValueError, match="signing key k"):
        Signer(key)


@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.SECP224R1()], ids=["secp256k1", "P-224"])
def test_a_key_on_a_curve_of_no_algorithm_verifies_nothing(curve: ec.EllipticCurve) -> None:
    """ES256 is P-256 and no other curve of its size (RFC 7518 section 3.4)."""
    algorithm = "ES256" if curve.key_size == 256 else "ES512"
    with pytest.raises(ValueError, match="signing key k"):
        verifying_key(SigningKey("k", algorithm, der(ec.generate_private_key(curve)), "active"))


def test_a_token_of_ours_is_in_the_canonical_form() -> None:
    """Another reader of RFC 7515 finds the same claims, and what we sign is what it verifies."""
    key = signing_key("EdDSA")
    public = private_key("EdDSA").public_key()
    raw = Signer(key).mint(CLAIMS)
    assert jwt.decode(raw, public, ["EdDSA"], options={"verify_iat": False}, audience=AUDIENCE, issuer=ISSUER) == CLAIMS


def test_a_secret_of_64_bytes_is_enough_for_hs512() -> None:
    """RFC 7518 section 3.2: a key of the hash's size, the other side of 63."""
    assert verifying_key(SigningKey("k", "HS512", b"s" * 64, "active")).kid == "k"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "HS256", "HS512", "RS257", "EdDSA", "ES256"])
def test_an_algorithm_that_is_not_the_keys_is_refused(algorithm: str) -> None:
    """S-28: `none` in any spelling, and every algorithm that this RSA key is not for."""
    header, payload, signature = token(RSA).split(b".")
    header = b64(json.dumps({"alg": algorithm, "typ": "JWT", "kid": "k1"}).encode()).encode()
    assert refusal(b".".join((header, payload, signature))) == "invalid_credential"


@pytest.mark.parametrize("secret", [public_pem(RSA), public_der(RSA), json.dumps(jwk(RSA)).encode(), b"s" * 64])
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_never_a_secret(secret: bytes, algorithm: str) -> None:
    """S-28: an HMAC keyed with the public key, in whatever form, proves nothing (CVE-2017-11424 and later)."""
    permissive = Rules(ISSUER, (AUDIENCE,), ASYMMETRIC | {algorithm}, frozenset({"jwt"}))
    assert refusal(token(secret, algorithm), permissive) == "invalid_credential"


@pytest.mark.parametrize(("signed", "said"), [("RS256", "PS256"), ("PS256", "RS256"), ("RS512", "RS256")])
def test_a_signature_of_another_algorithm_is_refused(signed: str, said: str) -> None:
    """S-28: RS and PS share keys, not signatures."""
    header, payload, _ = token(RSA, said).split(b".")
    forged = token(RSA, signed, header={"alg": said, "typ": "JWT", "kid": "k1"})
    assert forged.split(b".")[:2] == [header, payload]
    assert refusal(forged) == "invalid_credential"


@pytest.mark.parametrize("length", [1, 63, 64, 65])
def test_a_zero_ecdsa_signature_is_refused(length: int) -> None:
    """S-28: r = s = 0 is no signature (CVE-2022-21449)."""
    key = private_key("ES256")
    header, payload, _ = token(key, "ES256").split(b".")
    raw = b".".join((header, payload, b64(bytes(length)).encode()))
    assert refusal(raw, document=jwks(jwk(key))) == "invalid_credential"


def test_a_changed_payload_is_refused() -> None:
    """The signature covers the claims."""
    header, _, signature = token(RSA).split(b".")
    payload = b64(json.dumps(claims(sub="bob")).encode()).encode()
    assert refusal(b".".join((header, payload, signature))) == "invalid_credential"


def test_another_issuers_key_of_the_same_kid_does_not_verify() -> None:
    """S-30: what counts is the key, not its name."""
    assert refusal(token(rsa_key(name="other"))) == "invalid_credential"


GOOD = token(RSA)
HEADER, PAYLOAD, SIGNATURE = GOOD.split(b".")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"..",
        b"a.b",
        HEADER + b"." + PAYLOAD,
        HEADER + b"." + PAYLOAD + b".",
        HEADER + b".." + SIGNATURE,
        GOOD + b".x",
        GOOD + b".x.y",
        GOOD + b"=",
        GOOD + b"\n",
        b" " + GOOD,
        GOOD.replace(b".", b"=.", 1),
        HEADER + b"." + PAYLOAD + b".!" + SIGNATURE,
        HEADER + b"." + PAYLOAD + b"." + SIGNATURE[:-1] + b"+",
    ],
)
def test_what_is_not_three_base64url_parts_is_refused(raw: bytes) -> None:
    """S-28, S-31: parts missing, empty or too many (a JWE has five), padding, white space, another alphabet."""
    with pytest.raises(TokenInvalid):
        parse(raw)


def test_a_second_spelling_of_the_same_signature_is_refused() -> None:
    """S-28: the unused bits of the last character are zero, else one token would be two cache keys."""
    last = SIGNATURE[-1:]  # 256 bytes leave 4 unused bits, so the next character decodes to the same bytes
    other = bytes([last[0] + 1])
    respelled = GOOD[:-1] + other
    assert base64.urlsafe_b64decode(respelled.split(b".")[2] + b"==") == base64.urlsafe_b64decode(SIGNATURE + b"==")
    with pytest.raises(TokenInvalid):
        parse(respelled)


def sized(size: int) -> bytes:
    """A good token of exactly that many bytes."""
    for kid in ("k", "kk", "kkk"):  # base64 skips every fourth length, so the header has to give way
        missing = size - len(token(RSA, claims=claims(pad=""), kid=kid))
        for pad in range(missing * 3 // 4 - 3, missing * 3 // 4 + 4):
            if len(raw := token(RSA, claims=claims(pad="a" * pad), kid=kid)) == size:
                return raw
    raise AssertionError(size)


def test_a_token_of_8_kib_is_read() -> None:
    """S-31: the bound itself is inside."""
    assert parse(sized(MAX_TOKEN_BYTES)).issuer == ISSUER


def test_a_token_over_8_kib_is_refused() -> None:
    """S-31: a longer one is refused before it is read."""
    with pytest.raises(TokenInvalid, match="too long"):
        parse(sized(MAX_TOKEN_BYTES + 1))


@pytest.mark.parametrize(
    "more",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": ["b64"], "b64": True},
        {"b64": False},
        {"b64": True},
        {"kid": ["k1"]},
        {"kid": 1},
        {"kid": "k" * (MAX_KID_BYTES + 1)},
        {"kid": "é" * (MAX_KID_BYTES // 2 + 1)},
        {"kid": "k" * 10_000},
        {"typ": 1},
        {"alg": 5},
        {"alg": ["RS256"]},
        {"alg": None},
    ],
    ids=str,
)
def test_a_header_that_asks_for_more_than_we_know_is_refused(more: Mapping[str, object]) -> None:
    """S-28, S-29: extensions, and members of the wrong type or size (RFC 7515 section 4)."""
    with pytest.raises(TokenInvalid):
        parse(token(RSA, **more))


@pytest.mark.parametrize("kid", ["../../dev/null", "' OR 1=1 --", "k" * MAX_KID_BYTES])
def test_a_kid_is_a_name_and_nothing_else(kid: str) -> None:
    """S-29: up to 256 bytes it is read as it is; nobody resolves it."""
    assert parse(token(RSA, kid=kid)).kid == kid


def test_a_missing_kid_is_none() -> None:
    """The caller decides what a token without `kid` is worth."""
    assert parse(token(RSA, kid=None)).kid is None


def test_a_key_in_the_header_is_not_used() -> None:
    """S-29: jwk, jku, x5u and x5c are the attacker's word for itself."""
    other = rsa_key(name="other")
    pem = base64.b64encode(public_der(other)).decode()
    raw = token(other, jwk=jwk(other), jku="http://127.0.0.1:1/", x5u="http://127.0.0.1:1/", x5c=[pem])
    assert refusal(raw) == "invalid_credential"


@pytest.mark.parametrize(
    ("typ", "types", "accepted"),
    [
        ("JWT", {"jwt"}, True),
        ("jwt", {"jwt"}, True),
        ("application/JWT", {"jwt"}, True),
        ("at+jwt", {None, "jwt", "at+jwt"}, True),
        (None, {None, "jwt"}, True),
        (None, {"jwt"}, False),
        ("at+jwt", {None, "jwt"}, False),
        ("assertion+jwt", {None, "jwt", "at+jwt"}, False),
        ("JOSE", {None, "jwt"}, False),
        ("", {None, "jwt"}, False),
    ],
)
def test_the_type_must_be_one_of_those_accepted(typ: str | None, types: set[str | None], accepted: bool) -> None:
    """RFC 8725 section 3.11: a token for something else is not a credential."""
    rules = Rules(ISSUER, (AUDIENCE,), ASYMMETRIC, frozenset(types))
    raw = token(RSA, typ=typ)
    if accepted:
        assert read(raw, rules)["sub"] == "alice"
    else:
        assert refusal(raw, rules) == "invalid_credential"


@pytest.mark.parametrize(
    "payload",
    [
        b"foo",
        b"[]",
        b'"iss"',
        b'{"iss":"a"',
        b'{"iss":"a","iss":"b"}',
        b'{"iss":"a","x":{"y":1,"y":2}}',
        b'{"iss":"a","exp":NaN}',
        b'{"iss":"a","exp":Infinity}',
        b'{"iss":"\xff"}',
        b'\xef\xbb\xbf{"iss":"a"}',
        '{"iss":"a"}'.encode("utf-16"),
        b'{"iss":1}',
        b'{"iss":["a"]}',
        b"{}",
        b"[" * 5000,
        b'{"iss":"a","x":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
        b'{"iss":"a","x":' + b"9" * 5000 + b"}",
    ],
    ids=lambda payload: payload[:24].decode(errors="replace"),
)
def test_claims_that_could_be_read_in_two_ways_are_refused(payload: bytes) -> None:
    """Not JSON, not UTF-8, not an object, a repeated member, nested without end, or without an issuer."""
    with pytest.raises(TokenInvalid):
        parse(token(RSA, claims=payload))


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"a","x":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}",
        b'{"iss":"a","x":[' + b",".join([b"{}"] * 100) + b"]}",
        b'{"iss":"a","x":"' + b"[" * 100 + b'"}',
    ],
    ids=["as deep as allowed", "wide", "brackets in text"],
)
def test_claims_may_be_nested_to_a_bound(payload: bytes) -> None:
    """The bound is on the depth, not on the number of brackets."""
    assert parse(token(RSA, claims=payload)).issuer == "a"


def test_a_header_with_a_repeated_member_is_refused() -> None:
    """Two `alg`s are a choice for the reader, so there is none."""
    with pytest.raises(TokenInvalid):
        parse(token(RSA, header=b'{"alg":"RS256","alg":"none","kid":"k1"}'))


def test_neither_a_token_nor_a_key_shows_itself() -> None:
    """A repr ends up in logs."""
    shown = repr(parse(GOOD)) + repr(verifying_key(signing_key("HS512"))) + repr(signing_key("HS512"))
    assert PAYLOAD.decode() not in shown
    assert "ssss" not in shown
