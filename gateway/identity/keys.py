"""Keys: made, rotated, listed. A new one signs from the next poll of every worker on; old ones go on verifying."""

from collections.abc import Sequence
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.clock import Clock
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.model import KeyPurpose, KeyRecord, MacKey, SigningKey
from gateway.identity.ports import Keyring, KeyStore

Algorithm = Literal["EdDSA", "RS256", "ES256", "HS512"]

SECRET_BYTES = 64  # of a MAC key and of HS512: RFC 7518 section 3.2 wants at least the size of the hash
RSA_BITS = 3072  # 128 bits of security, NIST SP 800-57 part 1 table 2
ASSERTION_ALGORITHM: Algorithm = "EdDSA"


def generate(algorithm: Algorithm, purpose: KeyPurpose, clock: Clock) -> SigningKey:
    """A new active key. Only HS512 takes its bytes from `clock`; key pairs come from the library's own source."""
    private = clock.token_bytes(SECRET_BYTES) if algorithm == "HS512" else key_pair(algorithm)
    return SigningKey(clock.uuid4(), algorithm, private, "active", purpose)


def key_pair(algorithm: Literal["EdDSA", "RS256", "ES256"]) -> bytes:
    """PKCS#8 DER."""
    key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if algorithm == "EdDSA":
        key = ed25519.Ed25519PrivateKey.generate()
    elif algorithm == "RS256":
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def active(keys: Sequence[SigningKey], purpose: KeyPurpose) -> SigningKey:
    """The key that signs. Raises RequestRejected("conflict") when there is none."""
    for key in keys:
        if key.purpose == purpose and key.state == "active":
            return key
    raise RequestRejected("conflict", f"there is no active {purpose} key: run `gateway migrate`")


async def signing_key(keyring: Keyring, purpose: KeyPurpose) -> SigningKey:
    """The same for a login, whose fault it is not. Raises DependencyFailed."""
    try:
        return active(await keyring.signing_keys(), purpose)
    except RequestRejected as error:
        raise DependencyFailed("keys_unavailable", error.detail) from error


class Keys:
    def __init__(self, store: KeyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def ensure(self, algorithm: Algorithm, *, mployr: bool = False) -> bool:
        """Make what is missing: a token key of this algorithm, an assertion key, a MAC key. Whether any was made.

        mployr: and a key for the tokens of its API, which fixes RS256.

        A token key of another algorithm goes on verifying. Two processes at once make one set of keys.
        """
        keys = await self._store.signing_keys()
        made = False
        for purpose, wanted in wanted_keys(algorithm, mployr):
            found = [key for key in keys if key.purpose == purpose and key.state == "active"]
            if not found or found[0].algorithm != wanted:
                key = generate(wanted, purpose, self._clock)
                made |= await self._store.replace_signing_key(key, found[0].kid if found else None, drop=False)
        if not await self._store.mac_keys():
            made |= await self._store.add_mac_key(MacKey(1, self._clock.token_bytes(SECRET_BYTES)), force=False)
        return made

    async def records(self) -> Sequence[KeyRecord]:
        return await self._store.key_records()

    async def rotate_signing(self, algorithm: Algorithm, *, force: bool = False) -> SigningKey:
        """New keys for tokens and assertions; returns the token key. force: what old keys signed is void at once.

        Raises RequestRejected("conflict") when another rotation came in between.
        """
        keys = await self._store.signing_keys()
        made: list[SigningKey] = []
        for purpose, wanted in wanted_keys(algorithm, any(key.purpose == "mployr" for key in keys)):
            old = [key.kid for key in keys if key.purpose == purpose and key.state == "active"]
            key = generate(wanted, purpose, self._clock)
            if not await self._store.replace_signing_key(key, old[0] if old else None, drop=force):
                raise RequestRejected("conflict", "another rotation came in between")
            made.append(key)
        return made[0]

    async def rotate_mac(self, *, force: bool = False) -> MacKey:
        """A new key for connection strings. Three live at most; with three, the oldest goes.

        Raises RequestRejected("conflict") when live connection strings hang on that one, and says how many; force
        revokes them. Also when another rotation came in between.
        """
        versions = [key.version for key in await self._store.mac_keys()]
        key = MacKey(max(versions, default=0) + 1, self._clock.token_bytes(SECRET_BYTES))
        if not await self._store.add_mac_key(key, force):
            raise RequestRejected("conflict", "another rotation came in between")
        return key


def wanted_keys(algorithm: Algorithm, mployr: bool) -> tuple[tuple[KeyPurpose, Algorithm], ...]:
    own: tuple[tuple[KeyPurpose, Algorithm], ...] = (("token", algorithm), ("assertion", ASSERTION_ALGORITHM))
    return (*own, ("mployr", "RS256")) if mployr else own
