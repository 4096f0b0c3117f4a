"""Secrets at rest: AES-256-GCM. What may not be read from a stolen database file is sealed here.

Values are sealed with data keys, by version. Until the master key is first changed there is one, version 1, and it is
the master key itself; later ones are random, and stand in the database, sealed with the master key (decision 0018).

A sealed value is a header, a nonce of 12 bytes and the ciphertext with its tag of 16. The header is 1 for version 1,
else 2 and the data key's version in four bytes. The place (table, row, field) is authenticated, so that a value copied
into another row does not open there.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import DependencyFailed

FIRST = 1  # the data key that is, or was, the master key itself
NONCE = 12  # bytes, NIST SP 800-38D section 5.2.1.1
KEY = 32
MAC = 32  # bytes of a MAC that is not sealed


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


def header(version: int) -> bytes:
    """What each value begins with that is sealed with this data key."""
    return b"\x01" if version == FIRST else b"\x02" + version.to_bytes(4)


def bot_place(tenant_id: str) -> str:
    return f"telegram_bot:{tenant_id}:token_enc"


def code_place(challenge_id: str) -> str:
    return f"challenge:{challenge_id}:code_mac"


def data_place(version: int) -> str:
    return f"data_key:{version}:key_enc"


def draft_place(challenge_id: str) -> str:
    return f"challenge:{challenge_id}:draft_enc"


def factor_place(factor_id: str) -> str:
    return f"factor:{factor_id}:secret_enc"


def mac_place(version: int) -> str:
    return f"mac_key:{version}:secret_enc"


def outbox_place(letter_id: str) -> str:
    return f"outbox:{letter_id}:payload_enc"


def recovery_place(account_id: str) -> str:
    return f"recovery_code:{account_id}:mac"


def signing_place(kid: str) -> str:
    return f"signing_key:{kid}:private_enc"


def webhook_place(tenant_id: str) -> str:
    return f"telegram_bot:{tenant_id}:secret_enc"


def derived(key: bytes, purpose: str) -> bytes:
    """Another key of 32 bytes from this one (RFC 5869): what is sealed elsewhere does not open here."""
    return HKDF(SHA256(), KEY, None, f"gateway {purpose}".encode()).derive(key)


class KeyUnknown(DependencyFailed):
    """It is sealed with a data key that this process has not read yet."""


class Sealer:
    """The data keys that this process knows; at first version 1 alone.

    token_bytes: where nonces come from. At random nonces of 96 bits one key seals 2**32 values safely.
    """

    def __init__(self, key: bytes, token_bytes: Callable[[int], bytes]) -> None:
        self._token_bytes = token_bytes
        self.take({FIRST: key}, FIRST)

    def take(self, keys: Mapping[int, bytes], active: int) -> None:
        """keys: by version, the first among them. active: what is sealed from now on is sealed with this one."""
        if any(len(key) != KEY for key in keys.values()):
            raise ValueError("a key must be 32 bytes")
        self._keys = dict(keys)
        self._ciphers = {version: AESGCM(key) for version, key in keys.items()}
        self._active = active
        # RFC 5869: one key for one purpose, though one is configured
        self._peppers = {version: derived(key, "short secrets") for version, key in keys.items()}

    @property
    def keys(self) -> Mapping[int, bytes]:
        return self._keys

    @property
    def active(self) -> int:
        """Version of the data key that is used from now on."""
        return self._active

    @property
    def root(self) -> bytes:
        """What keys for other places are derived from."""
        return self._keys[self._active]

    def seal(self, secret: bytes, place: str, version: int | None = None) -> bytes:
        """version: of the data key; the active one by default."""
        version = self._active if version is None else version
        nonce = self._token_bytes(NONCE)
        return header(version) + nonce + self._ciphers[version].encrypt(nonce, secret, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Raises DependencyFailed when the master key is another one, or the row was altered; KeyUnknown."""
        version, start = _version(sealed, place)
        if version not in self._ciphers:
            raise KeyUnknown(
                "store_unavailable", f"{place} is sealed with data key {version}, which is not read yet", 1
            )
        nonce, text = sealed[start : start + NONCE], sealed[start + NONCE :]
        try:
            return self._ciphers[version].decrypt(nonce, text, place.encode())
        except (InvalidTag, ValueError) as error:
            raise DependencyFailed(
                "store_unavailable", f"secrets.master_key does not open {place}: it is not the key of this database"
            ) from error

    def cover(self, mac: bytes, place: str) -> bytes:
        """A MAC of a short secret, as it is stored.

        Its key comes from the first data key for ever. Once that may be known to somebody, the MAC is sealed besides:
        else whoever knows it and reads the database guesses the secret.
        """
        return mac if self._active == FIRST else self.seal(mac, place)

    def uncover(self, stored: bytes, place: str) -> bytes:
        """The MAC. Raises as `open`."""
        return stored if len(stored) == MAC else self.open(stored, place)

    def mac(self, purpose: str, value: bytes, version: int = FIRST) -> bytes:
        """HMAC-SHA-256 of a short secret, which a stolen database does not give away (`identity.codes.Pepper`).

        version: of the data key. By default the first, for ever: of a MAC no other MAC can be made. Raises KeyUnknown.
        """
        if version not in self._peppers:
            raise KeyUnknown("store_unavailable", f"data key {version} is not read yet", 1)
        return hmac.digest(self._peppers[version], purpose.encode() + b"\0" + value, "sha256")

    def __repr__(self) -> str:
        return "Sealer()"


class Masters:
    """The master key, and the one before it while they change."""

    def __init__(self, now: bytes, before: bytes | None, token_bytes: Callable[[int], bytes]) -> None:
        """Raises ValueError unless they are of 32 bytes."""
        self._all = tuple((key, Sealer(key, token_bytes)) for key in (now, before) if key is not None)

    @property
    def now(self) -> Sealer:
        """Seals data keys."""
        return self._all[0][1]

    def first(self, sealed: bytes, place: str) -> bytes:
        """Which of them sealed a value of version 1. Raises DependencyFailed when none did."""
        for key, sealer in self._all:
            with suppress(DependencyFailed):
                sealer.open(sealed, place)
                return key
        self.now.open(sealed, place)  # raises
        raise AssertionError

    def open(self, sealed: bytes, place: str, known: bytes | None = None) -> bytes:
        """A data key. known: what it is, where none of the master keys opens it. Raises DependencyFailed."""
        for _, sealer in self._all:
            with suppress(DependencyFailed):
                return sealer.open(sealed, place)
        return known if known is not None else self.now.open(sealed, place)  # raises


def sealed_with(sealed: bytes, place: str) -> int:
    """The version of the data key. Raises DependencyFailed."""
    return _version(sealed, place)[0]


def _version(sealed: bytes, place: str) -> tuple[int, int]:
    """Of the data key, and where the nonce begins."""
    if sealed[:1] == b"\x01":
        return FIRST, 1
    if sealed[:1] == b"\x02" and len(sealed) > len(header(2)):
        return int.from_bytes(sealed[1:5]), 5
    raise DependencyFailed("store_unavailable", f"{place} was sealed by a newer version")
