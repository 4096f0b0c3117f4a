"""Tokens that are nearly right, made of a key that the gateway trusts. RFC 7515, RFC 7518, RFC 7519."""

import hmac
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from .base64url import b64, joined

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def _json(value: Mapping[str, Any]) -> bytes:
    """None leaves a member out, ... makes it null."""
    kept = {key: (None if item is ... else item) for key, item in value.items() if item is not None}
    return json.dumps(kept, separators=(",", ":")).encode()


def _sign(key: Key, data: bytes) -> bytes:
    match key:
        case rsa.RSAPrivateKey():
            return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        case ec.EllipticCurvePrivateKey():
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32) + s.to_bytes(32)
        case ed25519.Ed25519PrivateKey():
            return key.sign(data)


class Signer:
    """algorithm: of the key. claims, jose: of a token that is good."""

    def __init__(self, pem: bytes, jose: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
        key = load_pem_private_key(pem, None)
        assert isinstance(key, Key)
        self._key = key
        names = {rsa.RSAPrivateKey: "RS256", ec.EllipticCurvePrivateKey: "ES256"}
        self.algorithm = next((name for kind, name in names.items() if isinstance(key, kind)), "EdDSA")
        self._jose = {"alg": self.algorithm, **jose}
        self.claims = dict(claims)
        told = self.claims.get("aud")
        self.audience = told[0] if isinstance(told, list) else told

    def head(self, **changes: object) -> bytes:
        return b64(_json({**self._jose, **changes}))

    def token(
        self, claims: Mapping[str, Any] | None = None, jose: Mapping[str, Any] | None = None, signed: bool = True
    ) -> bytes:
        return self._signed(self.head(**(jose or {})), _json({**self.claims, **(claims or {})}))

    def raw(self, claims: bytes) -> bytes:
        return self._signed(self.head(), claims)

    def raw_claims(self, members: bytes) -> bytes:
        """Of a good token, with these members, as they are, in the place of `exp`."""
        rest = _json({**self.claims, "exp": None})
        return self.raw(rest[:-1] + b"," + members + b"}")

    def _signed(self, head: bytes, claims: bytes, key: Key | None = None) -> bytes:
        data = joined(head, b64(claims))
        return joined(data, b64(_sign(key or self._key, data)))

    def hmac(self, algorithm: str, secret: bytes) -> bytes:
        data = joined(self.head(alg=algorithm), b64(_json(self.claims)))
        return joined(data, b64(hmac.digest(secret, data, algorithm.replace("HS", "sha"))))

    def public_forms(self) -> dict[str, bytes]:
        """Of the public key: what a verifier may hold in its hands."""
        public = self._key.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return {
            "PEM": pem,
            "PEM without its last line end": pem.rstrip(b"\n"),
            "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        }

    def stranger(self, bring: str = "") -> bytes:
        """Signed by a key of nobody's. bring: how the token offers it."""
        key = ed25519.Ed25519PrivateKey.generate() if self.algorithm == "EdDSA" else self._another()
        told: dict[str, object] = {}
        if bring == "jwk" and isinstance(key, rsa.RSAPrivateKey):
            numbers = key.public_key().public_numbers()
            told["jwk"] = {"kty": "RSA", "n": b64(numbers.n.to_bytes(256)).decode(), "e": "AQAB"}
        elif bring:
            told[bring] = ["MIIB"] if bring == "x5c" else "http://127.0.0.1:9/keys"
        return self._signed(self.head(**told), _json(self.claims), key)

    def _another(self) -> Key:
        if self.algorithm == "RS256":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return ec.generate_private_key(ec.SECP256R1())

    def other_algorithm(self) -> bytes:
        """RS512 for RSA, signed as it says; for others, their own signature under the name of another."""
        if not isinstance(self._key, rsa.RSAPrivateKey):
            return self._signed(self.head(alg="ES384"), _json(self.claims))
        data = joined(self.head(alg="RS512"), b64(_json(self.claims)))
        return joined(data, b64(self._key.sign(data, padding.PKCS1v15(), hashes.SHA512())))

    def loose(self, signature: bytes) -> bytes:
        """The same bytes in another spelling: bits of the last character that mean nothing are set."""
        at = _ALPHABET.index(signature[-1:])
        return signature[:-1] + _ALPHABET[at + 1 : at + 2]
