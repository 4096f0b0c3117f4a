"""Keys listed, replaced and added: the part of the KeyStore port that writes. Reading them is `store.keyring`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.audit import Detail, Event
from gateway.identity.model import KeyRecord, MacKey, SigningKey
from gateway.store.anchors import Anchors
from gateway.store.chain import Chain
from gateway.store.database import Database
from gateway.store.grants import end_grants
from gateway.store.locks import hold
from gateway.store.notes import noted
from gateway.store.revocations import revoked
from gateway.store.rows import is_live
from gateway.store.seal import Sealer, mac_place, signing_place
from gateway.store.tables import grant_, mac_key, signing_key

MAC_KEYS = 3  # live at most: a connection string that is not cached is tried against each
SETTLE = 60.0  # seconds in which every worker has surely read the new keys and signs with the old one no more
ASSERTION_LIFE = 3600.0  # seconds; an assertion lives 60, the rest is for services that cache the key set


class KeyChanges:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def key_records(self) -> Sequence[KeyRecord]:
        async with self._database.reading() as connection:
            signing = await connection.execute(select(signing_key).order_by(signing_key.c.created_at.desc()))
            macs = (await connection.execute(select(mac_key).order_by(mac_key.c.version.desc()))).all()
            on_mac = select(grant_.c.mac_version, func.count()).where(is_live(self._clock.now()))
            live = {row[0]: row[1] for row in await connection.execute(on_mac.group_by(grant_.c.mac_version))}
            found = [signing_record(row) for row in signing]
            return found + [mac_record(row, newest=row is macs[0], live=live.get(row.version, 0)) for row in macs]

    async def replace_signing_key(self, key: SigningKey, replaces: str | None, drop: bool) -> bool:
        at = self._clock.now()
        mine = signing_key.c.purpose == key.purpose
        active = and_(mine, signing_key.c.state == "active")
        async with self._database.writing() as connection:
            await hold(connection, "keys")
            if (await connection.execute(select(signing_key.c.kid).where(active))).scalar() != replaces:
                return False
            await connection.execute(update(signing_key).where(active).values(state="retiring", retired_at=at))
            useless = mine if drop else and_(mine, ~still_needed(key.purpose, at))
            await connection.execute(delete(signing_key).where(useless))
            await connection.execute(insert(signing_key).values(self._signing_row(key, at)))
            await revoked(connection, at, "keys", "signing")
            if drop:  # what was verified with a dropped key must not live on in a cache
                await revoked(connection, at, "all", "")
            detail: Detail = {"purpose": key.purpose, "algorithm": key.algorithm, "dropped": drop}
            noted(connection, Event("key_rotated", subject=key.kid, detail=detail))
            return True

    async def add_mac_key(self, key: MacKey, force: bool) -> bool:
        at = self._clock.now()
        sealed = self._sealer.seal(key.secret, mac_place(key.version))
        async with self._database.writing() as connection:
            await hold(connection, "keys")
            versions = list((await connection.execute(select(mac_key.c.version).order_by(mac_key.c.version))).scalars())
            if key.version != (versions[-1] + 1 if versions else 1):
                return False
            if len(versions) >= MAC_KEYS:
                await retire_mac_key(connection, versions[0], force, at)
            row = {"version": key.version, "secret_enc": sealed, "created_at": at}
            await connection.execute(insert(mac_key).values(row))
            if not versions:
                await Anchors(Chain(self._sealer)).begin_with_keys(connection)
            await revoked(connection, at, "keys", "mac")
            noted(connection, Event("mac_key_rotated", subject=str(key.version), detail={"forced": force}))
            return True

    def _signing_row(self, key: SigningKey, at: float) -> dict[str, Any]:
        return {
            "kid": key.kid,
            "alg": key.algorithm,
            "purpose": key.purpose,
            "private_enc": self._sealer.seal(key.private, signing_place(key.kid)),
            "state": key.state,
            "created_at": at,
        }


def still_needed(purpose: str, now: float) -> ColumnElement[bool]:
    """Whether a retiring key may have signed something that is still to be verified."""
    if purpose == "assertion":
        return signing_key.c.retired_at > now - ASSERTION_LIFE
    signed = and_(grant_.c.presentation == "jwt", grant_.c.created_at <= signing_key.c.retired_at + SETTLE)
    return or_(signing_key.c.retired_at > now - SETTLE, exists().where(signed, is_live(now)))


async def retire_mac_key(connection: AsyncConnection, version: int, force: bool, at: float) -> None:
    hanging = and_(grant_.c.mac_version == version, is_live(at))
    count = (await connection.execute(select(func.count()).where(hanging))).scalar_one()
    if count and not force:
        raise RequestRejected("conflict", f"{count} live connection strings are signed with MAC key {version}")
    await end_grants(connection, hanging, "key rotated", at)
    await connection.execute(delete(mac_key).where(mac_key.c.version == version))


def signing_record(row: Row[Any]) -> KeyRecord:
    return KeyRecord(row.kid, "signing", row.purpose, row.alg, row.state, row.created_at, 0)


def mac_record(row: Row[Any], *, newest: bool, live: int) -> KeyRecord:
    version, at = str(row.version), row.created_at
    return KeyRecord(version, "mac", "connection_string", "HMAC", "active" if newest else "retiring", at, live)
