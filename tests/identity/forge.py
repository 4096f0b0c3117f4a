"""Keys, and tokens made by hand: every header and every part can be wrong in its own way."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.identity.model import SigningKey

NOW = 1_800_000_000.0
ISSUER = "https://id.example"
AUDIENCE = "gateway"
CLAIMS: Mapping[str, object] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(NOW) + 600, "iat": int(NOW)}

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@cache
def rsa_key(bits: int = 2048, name: str = "") -> rsa.RSAPrivateKey:
    """One for each name."""
    return rsa.generate_private_key(65537, bits)


@cache
def private_key(algorithm: str, name: str = "") -> Private:
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm])
    return rsa_key(name=name)


@cache
def ed448_key() -> ed448.Ed448PrivateKey:
    return ed448.Ed448PrivateKey.generate()


def der(key: Private) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: Private) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_der(key: Private) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signing_key(algorithm: str = "EdDSA", kid: str = "k1", **more: str) -> SigningKey:
    private = b"s" * 64 if algorithm == "HS512" else der(private_key(algorithm))
    return SigningKey(kid, algorithm, private, **{"state": "active", **more})  # type: ignore[arg-type]


def jwk(key: Private, kid: str = "k1", **members: object) -> dict[str, object]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        own = {"kty": "RSA", "n": b64(_uint(numbers.n)), "e": b64(_uint(numbers.e))}
    elif isinstance(public, ec.EllipticCurvePublicKey):
        size = (public.curve.key_size + 7) // 8
        point = public.public_numbers()
        own = {"kty": "EC", "crv": f"P-{public.curve.key_size}"}
        own |= {"x": b64(point.x.to_bytes(size, "big")), "y": b64(point.y.to_bytes(size, "big"))}
    else:
        own = {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes(Encoding.Raw, PublicFormat.Raw))}
    return {**own, "kid": kid, **members}


def jwks(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


def sign(algorithm: str, key: Private | bytes, message: bytes) -> bytes:
    """The signature as RFC 7518 wants it; a key of bytes is a secret for HS*."""
    if isinstance(key, bytes):
        return hmac.digest(key, message, f"sha{algorithm[-3:]}")
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    chosen = HASHES[algorithm[-3:]]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(chosen)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if algorithm.startswith("PS"):
        return key.sign(message, padding.PSS(padding.MGF1(chosen), chosen.digest_size), chosen)
    return key.sign(message, padding.PKCS1v15(), chosen)


def token(
    key: Private | bytes,
    algorithm: str = "RS256",
    claims: Mapping[str, object] | bytes = CLAIMS,
    header: Mapping[str, object] | bytes | None = None,
    **more: object,
) -> bytes:
    """more: members of the header beside alg, typ and kid; a member that is None is left out."""
    fields = {"alg": algorithm, "typ": "JWT", "kid": "k1", **more} if header is None else header
    if not isinstance(fields, bytes):
        fields = json.dumps({name: value for name, value in fields.items() if value is not None}).encode()
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    message = f"{b64(fields)}.{b64(payload)}".encode()
    return message + b"." + b64(sign(algorithm, key, message)).encode()


def ec_point_digest(seed: str) -> str:
    """32 bytes that are no coordinate of anybody's key."""
    return b64(hashlib.sha256(seed.encode()).digest())


def _uint(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
