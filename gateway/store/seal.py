"""Secrets at rest: AES-256-GCM under the master key. What may not be read from a stolen database file is sealed here.

A sealed value is a version byte, a nonce of 12 bytes and the ciphertext with its tag of 16. The place (table, row,
field) is authenticated, so that a value copied into another row does not open there.
"""

import base64
import binascii
import hmac
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import DependencyFailed

VERSION = b"\x01"
NONCE = 12  # bytes, NIST SP 800-38D section 5.2.1.1
KEY = 32


def master_key(text: str) -> bytes:
    """The 32 bytes that a key file says, in hex (64 digits) or base64. Raises ValueError."""
    text = text.strip()
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY:
        raise ValueError("the master key must be 32 bytes, written in hex or base64")
    return key


def draft_place(challenge_id: str) -> str:
    return f"challenge:{challenge_id}:draft_enc"


def factor_place(factor_id: str) -> str:
    return f"factor:{factor_id}:secret_enc"


def mac_place(version: int) -> str:
    return f"mac_key:{version}:secret_enc"


def signing_place(kid: str) -> str:
    return f"signing_key:{kid}:private_enc"


def derived(key: bytes, purpose: str) -> bytes:
    """Another key of 32 bytes from the master key (RFC 5869): what is sealed elsewhere does not open here."""
    return HKDF(SHA256(), KEY, None, f"gateway {purpose}".encode()).derive(key)


class Sealer:
    """token_bytes: where nonces come from. At random nonces of 96 bits one key seals 2**32 values safely."""

    def __init__(self, key: bytes, token_bytes: Callable[[int], bytes]) -> None:
        if len(key) != KEY:
            raise ValueError("the master key must be 32 bytes")
        self._cipher = AESGCM(key)
        # RFC 5869: one key for one purpose, though one is configured
        self._pepper = HKDF(SHA256(), KEY, None, b"gateway short secrets").derive(key)
        self._token_bytes = token_bytes

    def seal(self, secret: bytes, place: str) -> bytes:
        nonce = self._token_bytes(NONCE)
        return VERSION + nonce + self._cipher.encrypt(nonce, secret, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Raises DependencyFailed when the master key is another one, or the row was altered."""
        if sealed[:1] != VERSION:
            raise DependencyFailed("store_unavailable", f"{place} was sealed by a newer version")
        nonce, text = sealed[1 : 1 + NONCE], sealed[1 + NONCE :]
        try:
            return self._cipher.decrypt(nonce, text, place.encode())
        except (InvalidTag, ValueError) as error:
            raise DependencyFailed(
                "store_unavailable", f"secrets.master_key does not open {place}: it is not the key of this database"
            ) from error

    def mac(self, purpose: str, value: bytes) -> bytes:
        """HMAC-SHA-256 of a short secret, which a stolen database does not give away (`identity.codes.Pepper`)."""
        return hmac.digest(self._pepper, purpose.encode() + b"\0" + value, "sha256")

    def __repr__(self) -> str:
        return "Sealer()"
