"""Keys at rest: the KeyStore port. Secrets leave this module decrypted and are never logged.

They are read here, as the request path reads; what lists and changes them (`store.keys`) is opened when it is needed.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.identity.model import KeyRecord, MacKey, SigningKey
from gateway.store.reading import Reader
from gateway.store.seal import Sealer, mac_place, signing_place

if TYPE_CHECKING:
    from gateway.store.keys import KeyChanges

SIGNING = "SELECT kid, alg, private_enc, state, purpose FROM signing_key ORDER BY created_at DESC"
MAC = "SELECT version, secret_enc FROM mac_key ORDER BY version DESC"


class Keys:
    def __init__(self, reader: Reader, sealer: Sealer, changes: "Callable[[], KeyChanges]") -> None:
        self._reader = reader
        self._sealer = sealer
        self._changes = changes

    async def signing_keys(self) -> Sequence[SigningKey]:
        return [
            SigningKey(kid, algorithm, self._sealer.open(sealed, signing_place(kid)), state, purpose)
            for kid, algorithm, sealed, state, purpose in await self._reader.rows(SIGNING)
        ]

    async def mac_keys(self) -> Sequence[MacKey]:
        rows = await self._reader.rows(MAC)
        return [MacKey(version, self._sealer.open(sealed, mac_place(version))) for version, sealed in rows]

    async def key_records(self) -> Sequence[KeyRecord]:
        return await self._changes().key_records()

    async def replace_signing_key(self, key: SigningKey, replaces: str | None, drop: bool) -> bool:
        return await self._changes().replace_signing_key(key, replaces, drop)

    async def add_mac_key(self, key: MacKey, force: bool) -> bool:
        return await self._changes().add_mac_key(key, force)

    async def require_master_key(self) -> None:
        """Raises DependencyFailed when the keys in this database were sealed with another master key."""
        await self.mac_keys()
