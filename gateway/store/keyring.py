"""Keys at rest: the KeyStore port. Secrets leave this module decrypted and are never logged.

They are read here, as the request path reads; what lists and changes them (`store.keys`) is opened when it is needed.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.errors import DependencyFailed
from gateway.identity.model import KeyRecord, MacKey, SigningKey
from gateway.store.reading import Reader
from gateway.store.seal import FIRST, KeyUnknown, Masters, Sealer, data_place, mac_place, sealed_with, signing_place

if TYPE_CHECKING:
    from gateway.store.keys import KeyChanges

SIGNING = "SELECT kid, alg, private_enc, state, purpose FROM signing_key ORDER BY created_at DESC"
MAC = "SELECT version, secret_enc FROM mac_key ORDER BY version DESC"
DATA = "SELECT version, key_enc, state FROM data_key ORDER BY version"


ALTERED = (
    "the states of the data keys (table data_key) were altered: the newest that is not next must be the active one"
)


def require_order(states: Sequence[tuple[int, str]], before: int = FIRST) -> int:
    """The data key that is active, of versions and states in order.

    States are no secrets and carry no tag: whoever writes to the database could bring a key back that may be known to
    them. So no state is believed but in the one order that changes of the master key make. before: what was active
    when this process looked last.

    Raises DependencyFailed.
    """
    active = [version for version, state in states if state == "active"]
    used = [version for version, state in states if state != "next"]
    if len(active) != 1 or active != used[-1:] or active[0] < before:
        raise DependencyFailed("store_unavailable", ALTERED)
    return active[0]


class Keys:
    def __init__(self, reader: Reader, sealer: Sealer, masters: Masters, changes: "Callable[[], KeyChanges]") -> None:
        """sealer: is given the data keys, whenever keys are read. masters: what opens these."""
        self._reader = reader
        self._sealer = sealer
        self._masters = masters
        self._changes = changes

    async def signing_keys(self) -> Sequence[SigningKey]:
        try:
            return await self._signing_keys()
        except KeyUnknown:
            await self.read_data_keys()
            return await self._signing_keys()

    async def _signing_keys(self) -> Sequence[SigningKey]:
        return [
            SigningKey(kid, algorithm, self._sealer.open(sealed, signing_place(kid)), state, purpose)
            for kid, algorithm, sealed, state, purpose in await self._reader.rows(SIGNING)
        ]

    async def mac_keys(self) -> Sequence[MacKey]:
        rows = await self._reader.rows(MAC)
        await self.read_data_keys()  # after the rows: what they are sealed with is among them
        if any(sealed_with(sealed, mac_place(version)) > self._sealer.active for version, sealed in rows):
            raise DependencyFailed("store_unavailable", ALTERED)
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

    async def read_data_keys(self) -> None:
        """Whoever holds neither master key goes on with what it knows, as long as that is all there is.

        Raises DependencyFailed.
        """
        rows = await self._reader.rows(DATA)
        if not rows:
            macs = await self._reader.rows(MAC)
            if macs:
                version, sealed = macs[-1]
                self._sealer.take({FIRST: self._masters.first(sealed, mac_place(version))}, FIRST)
            return
        known, found = self._sealer.keys, {}
        active = require_order([(version, state) for version, _, state in rows], self._sealer.active)
        for version, sealed, _ in rows:
            if version in known and version != FIRST:
                found[version] = known[version]
            else:
                found[version] = self._masters.open(sealed, data_place(version), known.get(version))
        self._sealer.take(found, active)
