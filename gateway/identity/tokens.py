"""JSON Web Tokens: minting, verification, JWK sets. The only home of PyJWT.

Whose rules hold for a token and whether its grant is alive is decided in `access.authenticate`; fetching keys is
`access.jwks`. A token is read once, strictly, by `identity.compact`; of PyJWT its algorithms are used, which hold the
keys' rules and verify signatures. Claims are checked here, with the time as an argument (RFC 7519, RFC 8725).
"""

import asyncio
import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from jwt.algorithms import Algorithm, ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.identity.compact import TokenExpired, TokenInvalid, Unverified, json_object
from gateway.identity.model import SigningKey

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey
Claims = Mapping[str, object]

MAX_TIME: Final = 1e11  # the year 5138: a greater number is milliseconds or nonsense, not a long life
MAX_KEYS: Final = 100
HS512_BYTES: Final = 64  # RFC 7518 section 3.2
RSA_BITS: Final = range(2048, 8193)  # RFC 7518 section 3.3; above 8192 one signature costs milliseconds

# What a key may verify (RFC 7518 section 3.1, RFC 8037); absent kinds are skipped: Ed448, X25519, oct.
_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_KINDS: Final[dict[tuple[object, object], frozenset[str]]] = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}
ASYMMETRIC: Final = frozenset[str]().union(*_KINDS.values())
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_NUMBER_MEMBERS: Final = ("n", "e", "x", "y")

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_JWS: Final = jwt.PyJWS()
_ALGORITHMS: Final = {name: _JWS.get_algorithm_by_name(name) for name in (*ASYMMETRIC, "HS512")}
_COMPACT_JSON: Final = json.JSONEncoder(separators=(",", ":")).encode


class KeySetError(ValueError):
    """The document is not a JWK set with at least one key that we can use."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """algorithms: what this very key may verify. key: a public key, or the secret of HS512."""

    kid: str
    algorithms: frozenset[str]
    key: PublicKey | bytes

    def __repr__(self) -> str:
        return f"VerifyingKey(kid={self.kid!r})"


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


class Signer:
    """One private key, loaded once: loading an RSA key costs more than signing with it."""

    def __init__(self, key: SigningKey) -> None:
        """Raises ValueError when the key is not of its algorithm."""
        private = _secret(key) if key.algorithm == "HS512" else _load_private(key)
        if not _usable(private, frozenset({key.algorithm})):
            raise ValueError(f"signing key {key.kid} is not of its algorithm")
        self.kid = key.kid
        self._algorithm = key.algorithm
        self._key = private
        self._headers: dict[str, bytes] = {}

    def mint(self, claims: Claims, typ: str = "JWT") -> str:
        """The compact token (RFC 7515 section 7.1). Times among the claims are whole seconds; `sub` is a string."""
        header = self._headers.get(typ)
        if header is None:
            header = self._headers[typ] = _part({"alg": self._algorithm, "kid": self.kid, "typ": typ})
        signed = header + b"." + _part(claims)
        signature = _ALGORITHMS[self._algorithm].sign(signed, self._key)
        return (signed + b"." + _base64url(signature)).decode("ascii")


def mint(claims: Claims, key: SigningKey, typ: str = "JWT") -> str:
    """One token with a key that is used once. See `Signer`."""
    return Signer(key).mint(claims, typ)


async def mint_aside(claims: Claims, key: SigningKey, typ: str = "JWT") -> str:
    """The same in the event loop, which does not wait for it: an RSA signature takes milliseconds, in a thread."""
    if key.algorithm not in _RSA:
        return mint(claims, key, typ)
    return await asyncio.to_thread(mint, claims, key, typ)


def verifying_key(key: SigningKey) -> VerifyingKey:
    """The half of one of our own keys that verifies. Raises ValueError when the key is not of its algorithm."""
    half = _secret(key) if key.algorithm == "HS512" else _load_private(key).public_key()
    algorithms = _usable(half, frozenset({key.algorithm}))
    if not algorithms:
        raise ValueError(f"signing key {key.kid} is not of its algorithm")
    return VerifyingKey(key.kid, algorithms, half)


def verify(unverified: Unverified, key: VerifyingKey, rules: Rules, now: float) -> Claims:
    """The claims, once all of it holds. now: seconds since the epoch. Raises TokenInvalid, TokenExpired.

    The algorithm comes from the key and the rules; the header may only agree (RFC 8725 section 3.1).
    """
    algorithm = unverified.algorithm
    if algorithm not in key.algorithms or algorithm not in rules.algorithms:
        raise TokenInvalid("alg is not allowed for this key")
    if unverified.typ not in rules.types:
        raise TokenInvalid("typ is not allowed here")
    try:
        good = _ALGORITHMS[algorithm].verify(unverified.signed, key.key, unverified.signature)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise TokenInvalid("the token is not acceptable") from error
    if not good:
        raise TokenInvalid("the signature is wrong")
    claims = unverified.claimed
    _check_names(claims, rules)
    _check_times(claims, rules.leeway, rules.early, now)
    return claims


def parse_jwks(document: bytes) -> Mapping[str, VerifyingKey]:
    """Usable keys of a JWK set (RFC 7517) by `kid`. Raises KeySetError when it is none, or holds no usable key.

    Skipped: keys that are not for verifying signatures, of an unknown kind or without `kid`, outside the size limits,
    secrets (`oct`, private members), and every key whose `kid` another one has too.
    """
    try:
        entries = json_object(document).get("keys")
    except TokenInvalid as error:
        raise KeySetError("the key set is not a JSON object") from error
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise KeySetError(f"the key set is not a list of at most {MAX_KEYS} keys")
    signing = [entry for entry in entries if isinstance(entry, dict) and entry.get("use", "sig") == "sig"]
    seen = Counter(kid for entry in signing if isinstance(kid := entry.get("kid"), str))
    keys = {key.kid: key for entry in signing if (key := _jwk(entry)) is not None and seen[key.kid] == 1}
    if not keys:
        raise KeySetError("the key set holds no usable key")
    return keys


def public_jwks(keys: Iterable[SigningKey]) -> dict[str, list[dict[str, object]]]:
    """Our own keys as a JWK set for others to verify with; secrets have no public half and are left out."""
    return {"keys": [_public_jwk(key) for key in keys if key.algorithm != "HS512"]}


def _public_jwk(key: SigningKey) -> dict[str, object]:
    public = _load_private(key).public_key()
    match public:
        case RSAPublicKey():
            members = RSAAlgorithm.to_jwk(public, as_dict=True)
        case EllipticCurvePublicKey():
            members = ECAlgorithm.to_jwk(public, as_dict=True)
        case Ed25519PublicKey():
            members = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {**members, "kid": key.kid, "alg": key.algorithm, "use": "sig", "key_ops": ["verify"]}


def _secret(key: SigningKey) -> bytes:
    if len(key.private) < HS512_BYTES:
        raise ValueError(f"signing key {key.kid} is too short")
    return key.private


def _load_private(key: SigningKey) -> PrivateKey:
    try:
        private = load_der_private_key(key.private, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"signing key {key.kid} cannot be read") from error
    if not isinstance(private, PrivateKey) or key.algorithm not in _algorithms_of(private.public_key()):
        raise ValueError(f"signing key {key.kid} is not of its algorithm")
    return private


def _algorithms_of(public: PublicKey) -> frozenset[str]:
    match public:
        case RSAPublicKey():
            return _RSA if public.key_size in RSA_BITS else frozenset()
        case EllipticCurvePublicKey():
            return {256: frozenset({"ES256"}), 384: frozenset({"ES384"})}.get(
                public.curve.key_size, frozenset({"ES512"})
            )
        case Ed25519PublicKey():
            return frozenset({"EdDSA"})


def _jwk(entry: Mapping[str, object]) -> VerifyingKey | None:
    """One key of a foreign set, None unless everything about it fits (RFC 7517 section 4, RFC 8725 section 3.5)."""
    kid, algorithm, operations = entry.get("kid"), entry.get("alg"), entry.get("key_ops", ["verify"])
    algorithms = _kind(entry)
    if algorithm is not None:
        algorithms &= frozenset({algorithm}) if isinstance(algorithm, str) else frozenset()
    if not isinstance(kid, str) or not algorithms or not _PRIVATE_MEMBERS.isdisjoint(entry):
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    if not all(_is_base64url(entry[name]) for name in _NUMBER_MEMBERS if name in entry):
        return None
    public = _load_public(entry)
    if public is None:
        return None
    algorithms = _usable(public, algorithms & _algorithms_of(public))
    return VerifyingKey(kid, algorithms, public) if algorithms else None


def _kind(entry: Mapping[str, object]) -> frozenset[str]:
    kty, curve = entry.get("kty"), entry.get("crv")
    if not isinstance(kty, str) or not (curve is None or isinstance(curve, str)):
        return frozenset()
    return _KINDS.get((kty, None if kty == "RSA" else curve), frozenset())


def _load_public(entry: Mapping[str, object]) -> PublicKey | None:
    try:
        public = jwt.PyJWK(dict(entry)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    return public if isinstance(public, PublicKey) else None


def _is_base64url(value: object) -> bool:
    return isinstance(value, str) and _BASE64URL(value) is not None


def _usable(key: PublicKey | PrivateKey | bytes, algorithms: frozenset[str]) -> frozenset[str]:
    """Those algorithms whose own rules the key meets: its kind, its curve, its length."""
    return frozenset(name for name in algorithms if _fits(_ALGORITHMS[name], key))


def _fits(algorithm: Algorithm, key: PublicKey | PrivateKey | bytes) -> bool:
    try:
        return algorithm.check_key_length(algorithm.prepare_key(key)) is None
    except (jwt.PyJWTError, ValueError, TypeError):
        return False


def _part(members: Claims) -> bytes:
    return _base64url(_COMPACT_JSON(members).encode())


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


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


def _check_times(claims: Claims, leeway: float, early: float, now: float) -> None:
    """RFC 7519 sections 4.1.4 to 4.1.6: over on and after `exp` + leeway, begun with `nbf`, `iat` - leeway - early."""
    expires = _time(claims, "exp")
    if expires + leeway <= now:
        raise TokenExpired
    for name in ("nbf", "iat"):
        if claims.get(name) is not None and _time(claims, name) > now + leeway + early:
            raise TokenInvalid("the token is not valid yet")


def _time(claims: Claims, name: str) -> float:
    value = claims.get(name)
    # The comparison is false for NaN, and works for an int that no float can hold.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_TIME <= value <= MAX_TIME:
        raise TokenInvalid(f"{name} is not a time in seconds")
    return float(value)
