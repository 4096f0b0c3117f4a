"""The master key is changed: steps that can be interrupted anywhere and done again, while gateways run.

They have the new key and the old one. First the data keys are sealed with the new master key, and a next one is added;
gateways read it. Then it is the active one; gateways seal with it. Then all that is sealed with others is sealed anew.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.audit import Event
from gateway.store.anchors import Anchors
from gateway.store.chain import Chain
from gateway.store.database import Database
from gateway.store.keyring import require_order
from gateway.store.locks import hold
from gateway.store.notes import noted
from gateway.store.revocations import revoked
from gateway.store.seal import FIRST, KEY, Masters, Sealer, data_place, mac_place
from gateway.store.sealed import SEALED, left, reseal
from gateway.store.tables import data_key, mac_key
from gateway.store.told import Told, silent

ROUNDS = 20  # over what others were just writing; each of them is another row's turn


@dataclass(frozen=True, slots=True)
class Changed:
    """version: of the data key that all is sealed with now. resealed: values, by this call. unread: places of values
    that no key opens, which stay as they are."""

    version: int
    resealed: int
    unread: Sequence[str]


class MasterKey:
    """settle: seconds in which every gateway has surely read a new data key."""

    def __init__(
        self,
        database: Database,
        masters: Masters,
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]],
        settle: float,
    ) -> None:
        self._database = database
        self._masters = masters
        self._clock = clock
        self._sleep = sleep
        self._settle = settle

    async def change(self, told: Told = silent) -> Changed:
        """Raises RequestRejected("conflict") when there is nothing to change, before anything is; DependencyFailed."""
        await self._begin()
        version = await self._activate(told)
        await self._settled(version, told)
        return await self._reseal(version, told)

    async def _begin(self) -> None:
        """The data keys under the new master key, and a next one. All of it or nothing, and once."""
        at = self._clock.now()
        async with self._database.writing() as connection:
            await hold(connection, "keys")
            rows = await _data_keys(connection)
            old = [row for row in rows if not self._is_new(row.key_enc, data_place(row.version))]
            if rows and not old:
                return  # begun before
            keys = {row.version: self._masters.open(row.key_enc, data_place(row.version)) for row in rows}
            if not rows:
                keys = {FIRST: await self._first(connection)}
                await self._put(connection, FIRST, keys[FIRST], "active", at)
            for row in old:
                sealed = self._masters.now.seal(keys[row.version], data_place(row.version))
                same = update(data_key).where(data_key.c.version == row.version, data_key.c.key_enc == row.key_enc)
                await connection.execute(same.values(key_enc=sealed))
            # what is next already, of a change that was begun and not ended, stays so: nothing was sealed with it
            await self._put(connection, max(keys) + 1, self._clock.token_bytes(KEY), "next", at)
            await revoked(connection, at, "keys", "data")

    async def _first(self, connection: AsyncConnection) -> bytes:
        """The old master key: values are sealed with it."""
        row = (await connection.execute(select(mac_key).order_by(mac_key.c.version).limit(1))).first()
        if row is None:
            raise RequestRejected("conflict", "there are no keys yet: `gateway migrate` makes them with the new one")
        if self._is_new(row.secret_enc, mac_place(row.version)):
            raise RequestRejected("conflict", "secrets.master_key is the key of this database already")
        return self._masters.first(row.secret_enc, mac_place(row.version))

    def _is_new(self, sealed: bytes, place: str) -> bool:
        try:
            self._masters.now.open(sealed, place)
        except DependencyFailed:
            return False
        return True

    async def _put(self, connection: AsyncConnection, version: int, key: bytes, state: str, at: float) -> None:
        sealed = self._masters.now.seal(key, data_place(version))
        row = {"version": version, "key_enc": sealed, "state": state, "since": at}
        await connection.execute(insert(data_key).values(row))

    async def _activate(self, told: Told) -> int:
        """The version that is active, once whatever was next has become it."""
        async with self._database.reading() as connection:
            states = {row.state: row.version for row in await _data_keys(connection)}
        if "next" not in states:
            return int(states["active"])
        version = int(states["next"])
        await self._settled(version, told)
        at = self._clock.now()
        async with self._database.writing() as connection:
            await hold(connection, "keys")
            rows = {row.version: row.state for row in await _data_keys(connection)}
            if rows[version] == "next":
                active = update(data_key).where(data_key.c.state == "active")
                await connection.execute(active.values(state="retiring", since=at))
                mine = update(data_key).where(data_key.c.version == version, data_key.c.state == "next")
                await connection.execute(mine.values(state="active", since=at))
                await self._renew_anchors(connection, rows, version)
                passed = update(data_key).where(data_key.c.version < version, data_key.c.state == "next")
                await connection.execute(passed.values(state="retiring", since=at))
                noted(connection, Event("master_key_changed", subject=str(version)))
                await revoked(connection, at, "keys", "data")
        return version

    async def _renew_anchors(self, connection: AsyncConnection, states: Mapping[int, str], version: int) -> None:
        """From now on whoever knows the old master key, and writes the database, cannot chain another trail."""
        keys = {
            row.version: self._masters.open(row.key_enc, data_place(row.version))
            for row in await _data_keys(connection)
        }
        before = next(one for one, state in states.items() if state == "active")
        sealer = Sealer(keys[FIRST], self._clock.token_bytes)
        sealer.take(keys, before)
        anchors = Anchors(Chain(sealer))
        await hold(connection, "audit")
        with suppress(DependencyFailed):  # it is broken, and `gateway audit verify` goes on saying so
            found = await anchors.both(connection)
            sealer.take(keys, version)
            for anchor in found:
                await anchors.put(connection, anchor)

    async def _settled(self, version: int, told: Told) -> None:
        """Waits until a key has been in its state for long enough."""
        async with self._database.reading() as connection:
            rows = {row.version: row for row in await _data_keys(connection)}
        row, total = rows[version], round(self._settle)
        while (rest := row.since + self._settle - self._clock.now()) > 0:
            told("waiting for every gateway to read the keys", total - round(rest), total)
            await self._sleep(min(rest, 1.0))

    async def _reseal(self, version: int, told: Told) -> Changed:
        sealer = await self._sealer(version)
        async with self._database.reading() as connection:
            total = await left(connection, version)
        done, unread = 0, list[str]()
        for _ in range(ROUNDS):
            unread = []
            for one in SEALED:
                after: tuple[Any, ...] | None = None
                while True:
                    async with self._database.writing() as connection:
                        passed = await reseal(connection, one, sealer, version, after)
                    done += passed.done
                    unread += passed.unread
                    told("re-encrypting", done, max(total, done))
                    if (after := passed.last) is None:
                        break
            async with self._database.reading() as connection:
                if await left(connection, version) <= len(unread):
                    return Changed(version, done, unread)
            await self._sleep(0.2)
        raise DependencyFailed("store_unavailable", "some rows are being written all the time: run it again", 1)

    async def _sealer(self, version: int) -> Sealer:
        async with self._database.reading() as connection:
            rows = await _data_keys(connection)
        keys = {row.version: self._masters.open(row.key_enc, data_place(row.version)) for row in rows}
        sealer = Sealer(keys[FIRST], self._clock.token_bytes)
        sealer.take(keys, version)
        return sealer


async def _data_keys(connection: AsyncConnection) -> Sequence[Row[Any]]:
    """In order. Raises DependencyFailed where their states are in another."""
    rows = (await connection.execute(select(data_key).order_by(data_key.c.version))).all()
    if rows:
        require_order([(row.version, row.state) for row in rows])
    return rows
