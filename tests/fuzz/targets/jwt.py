"""Tokens at the door: whatever the bytes, a caller is let in only by a signature of a key that counts, over claims that
do; and key sets of issuers.

The first byte chooses what the rest is: a token as it came; header and claims, parted by a line feed, which a key signs
(ours, an issuer's, a wrong one, a public key taken for a secret); or a key set.
"""

import base64
import hashlib
import hmac
import json
import math
import string
from collections.abc import Iterator

from access.world import ACCOUNT, ALICE, GRANT, HOUR, LICENCES, OWNERSHIPS, PUBLIC_URL, Store, Time
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from identity.forge import AUDIENCE, CLAIMS, ISSUER, NOW, b64, der, jwk, public_der, sign

from gateway.access.verifiers import ExternalIssuer, OwnTokens, Verifiers
from gateway.errors import RequestRejected
from gateway.identity.model import Grant, Principal, SigningKey, Standing
from gateway.identity.tokens import KeySetError, VerifyingKey, parse_jwks
from gateway.wire.credentials import Presented

WORDS = (
    b'"alg":"EdDSA"', b'"alg":"none"', b'"alg":"HS512"', b'"alg":"HS256"', b'"kid":"k1"', b'"kid":"e1"',
    b'"kid":"s1"', b'"crit":["b64"]', b'"b64":false', b'"typ":"JWT"', b'"typ":"at+jwt"', b'"jwk":{}',
    b'"iss":"https://id.example"', b'"aud":"gateway"', b'"aud":["gateway"]', b'"exp":1e400', b'"exp":1800000600',
    b'"nbf":1800000600', b'"iat":null', b'"sub":1', b'"\\ud800"', b"NaN", b"Infinity", b"-0", b"1e999", b"true",
    b"null", b".", b"..", b"e30", b"=", b"\n", b"{", b"}", b",", b"[[[[[[[[[[[[[[[[[", b'"keys":[', b'"use":"enc"',
    b'"key_ops":["verify"]', b'"d":"AA"', b'"sid":"97a00000-0000-4000-8000-000000000001"',
)  # fmt: skip
OURS = ed25519.Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
OTHER = ed25519.Ed25519PrivateKey.from_private_bytes(b"\2" * 32)
THEIRS = ec.derive_private_key(0x1234567890ABCDEF << 64, ec.SECP256R1())
SECRET = b"s" * 64
SIGNERS = (  # algorithm, kid, key
    ("EdDSA", "k1", OURS), ("HS512", "s1", SECRET), ("ES256", "e1", THEIRS),
    ("EdDSA", "k1", OTHER), ("HS512", "e1", public_der(THEIRS)), ("HS512", "k1", public_der(OURS)),
)  # fmt: skip
GENUINE = 3  # of these, the first ones are keys that count
OWN = {"iss": PUBLIC_URL, "aud": PUBLIC_URL, "sub": ACCOUNT, "sid": GRANT, "exp": int(NOW) + 600, "iat": int(NOW)}
SETS = len(SIGNERS) + 1
BASE64URL = set(string.ascii_letters + string.digits + "-_")


class IssuersKeys:
    async def key(self, issuer: str, kid: str) -> VerifyingKey | None:
        return (
            VerifyingKey("e1", frozenset({"ES256"}), THEIRS.public_key()) if (issuer, kid) == ("acme", "e1") else None
        )


def _verifiers() -> Verifiers:
    signing = [SigningKey("k1", "EdDSA", der(OURS), state="active"), SigningKey("s1", "HS512", SECRET, state="active")]
    grant = Grant(GRANT, ACCOUNT, "session", "jwt", NOW, NOW + HOUR)
    store = Store({GRANT: Standing(ALICE, grant, LICENCES, OWNERSHIPS)}, signing)
    issuer = ExternalIssuer("acme", ISSUER, (AUDIENCE,), frozenset({"ES256"}), leeway=0, email_verified=True)
    return Verifiers(store, store, IssuersKeys(), OwnTokens(PUBLIC_URL, PUBLIC_URL), (issuer,), Time().clock)


VERIFIERS = _verifiers()


def seeds() -> Iterator[bytes]:
    for number, (algorithm, kid, _) in enumerate(SIGNERS, 1):
        header = json.dumps({"alg": algorithm, "typ": "JWT", "kid": kid}).encode()
        for claims in (OWN, CLAIMS):
            said = header + b"\n" + json.dumps(claims).encode()
            yield bytes((number,)) + said
            yield b"\0" + _signed(number - 1, said)
    more = {"nbf": int(NOW), "jti": "1", "scope": "a b", "email": "a@example.org", "email_verified": True, "sub": "é"}
    yield b'\3{"alg":"ES256","kid":"e1","typ":"application/at+jwt"}\n' + json.dumps({**CLAIMS, **more}).encode()
    yield b"\0" + b64(b'{"alg":"none"}').encode() + b"." + b64(json.dumps(OWN).encode()).encode() + b".AA"
    keys = [jwk(OURS, "k1", use="sig"), jwk(THEIRS, "e1", alg="ES256", key_ops=["verify"]), jwk(OTHER, "k2")]
    yield bytes((SETS,)) + json.dumps({"keys": keys}).encode()
    yield bytes((SETS,)) + json.dumps({"keys": [{"kty": "RSA", "kid": "r", "n": "u" * 342, "e": "AQAB"}]}).encode()


def once(data: bytes) -> None:
    kind, rest = data[0] % (SETS + 1) if data else 0, data[1:]
    if kind == SETS:
        key_set(rest)
        return
    token = _signed(kind - 1, rest) if kind else rest
    found = _principal(token)
    if kind > GENUINE:
        assert found is None, "a key that does not count let somebody in"
    good = plainly(token)
    assert (found is not None) == good, f"{'taken' if found else 'refused'}: {token[:2000]!r}"
    if found is not None:
        assert found.expires_at <= NOW + HOUR or found.issuer == "acme"
        assert found.issuer != "internal" or found.subject == ACCOUNT
        found.subject.encode()
        found.email.encode("ascii")


def key_set(document: bytes) -> None:
    """What is usable of it is public, and verifies what its own half signs."""
    try:
        keys = parse_jwks(document)
    except KeySetError:
        return
    for kid, key in keys.items():
        assert kid == key.kid
        assert key.algorithms
        assert not isinstance(key.key, bytes)


def _signed(signer: int, said: bytes) -> bytes:
    algorithm, _, key = SIGNERS[signer]
    header, _, claims = said.partition(b"\n")
    message = f"{b64(header)}.{b64(claims)}".encode()
    return message + b"." + b64(sign(algorithm, key, message)).encode()


def _principal(token: bytes) -> Principal | None:
    """None where it is refused; whatever else is raised goes on. Nothing here ever waits."""
    work = VERIFIERS.principal(Presented("jwt", token), NOW)
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    except RequestRejected as fault:
        assert fault.code in ("invalid_credential", "expired_credential", "revoked_credential", "unknown_issuer")
        return None
    raise AssertionError("it waits")


# the rules, read plainly


def plainly(token: bytes) -> bool:
    if len(token) > 8192 or not token.isascii():
        return False
    parts = token.decode().split(".")
    decoded = [_decoded(part) for part in parts]
    if len(parts) != 3 or not all(decoded):
        return False
    header, claims = _object(decoded[0] or b""), _object(decoded[1] or b"")
    if header is None or claims is None or {"crit", "b64"} & header.keys():
        return False
    typ = header.get("typ")
    if "typ" in header and not isinstance(typ, str):
        return False
    kind = typ.lower().removeprefix("application/") if isinstance(typ, str) else None
    message, signature = ".".join(parts[:2]).encode(), decoded[2] or b""
    if claims.get("iss") == PUBLIC_URL:
        return kind == "jwt" and _ours(header, message, signature) and _own_claims(claims)
    return (
        claims.get("iss") == ISSUER
        and kind in (None, "jwt", "at+jwt")
        and (header.get("alg"), header.get("kid")) == ("ES256", "e1")
        and _es256(message, signature)
        and _their_claims(claims)
    )


def _decoded(part: str) -> bytes | None:
    if len(part) % 4 == 1 or not set(part) <= BASE64URL:
        return None
    raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    return raw if b64(raw) == part else None


def _object(raw: bytes) -> dict[str, object] | None:
    repeated = []

    def members(found: list[tuple[str, object]]) -> dict[str, object]:
        repeated.append(len({name for name, _ in found}) != len(found))
        return dict(found)

    try:
        value = json.loads(raw.decode(), object_pairs_hook=members, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and not any(repeated) and _height(value) <= 16 else None


def _refuse(name: str) -> None:
    raise ValueError(name)


def _height(value: object) -> int:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if below is None else 1 + max(map(_height, below), default=0)


def _ours(header: dict[str, object], message: bytes, signature: bytes) -> bool:
    match header.get("alg"), header.get("kid"):
        case "HS512", "s1":
            return hmac.compare_digest(hmac.new(SECRET, message, hashlib.sha512).digest(), signature)
        case "EdDSA", "k1":
            try:
                OURS.public_key().verify(signature, message)
            except InvalidSignature:
                return False
            return True
    return False


def _es256(message: bytes, signature: bytes) -> bool:
    """By the numbers, which are as many bytes as the curve has."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    try:
        THEIRS.public_key().verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return len(signature) == 64


def _own_claims(claims: dict[str, object]) -> bool:
    audiences = {PUBLIC_URL, PUBLIC_URL + "#second-factor"}
    return (
        _common(claims, audiences, 30)
        and claims.get("sid") == GRANT
        and claims.get("sub") in (ACCOUNT, str(ALICE.num))
        and isinstance(claims.get("sub"), str)
    )


def _their_claims(claims: dict[str, object]) -> bool:
    subject = claims.get("sub")
    return (
        _common(claims, {AUDIENCE}, 0) and isinstance(subject, str) and 0 < len(subject) < 256 and subject.isprintable()
    )


def _common(claims: dict[str, object], audiences: set[str], early: float) -> bool:
    said = claims.get("aud")
    several = said if isinstance(said, list) else [said]
    if not all(isinstance(one, str) for one in several) or not audiences & set(several):
        return False
    if not isinstance(claims.get("jti", ""), str) or not isinstance(claims.get("sub", ""), str):
        return False
    if not _number(claims.get("exp")) or claims["exp"] <= NOW:  # type: ignore[operator]
        return False
    begun = [claims[name] for name in ("nbf", "iat") if claims.get(name) is not None]
    return all(_number(one) and one <= NOW + early for one in begun)  # type: ignore[operator]


def _number(value: object) -> bool:
    """Seconds before the year 5138."""
    return type(value) in (int, float) and not math.isnan(value) and abs(value) <= 1e11  # type: ignore[arg-type, call-overload]
