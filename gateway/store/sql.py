"""The store as the composition root sees it: one object whose parts are the ports of the identity core."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.clock import Clock
from gateway.store import upkeep
from gateway.store.file import database_path
from gateway.store.keyring import Keys
from gateway.store.revision import require_current
from gateway.store.seal import Sealer
from gateway.store.sqlite import Reader, SqliteDirectory, SqliteRevocations
from gateway.store.waiting import due

if TYPE_CHECKING:
    from gateway.store.accounts import Accounts
    from gateway.store.changes import Changes
    from gateway.store.grants import Grants
    from gateway.store.tenants import Roles, Tenants


class Store:
    """accounts, tenants, roles, grants: changes. directory, revocations, keys: what every worker reads."""

    def __init__(self, path: Path, reader: Reader, sealer: Sealer, clock: Clock) -> None:
        self._path = path
        self._reader = reader
        self._sealer = sealer
        self._clock = clock
        self._changes: Changes | None = None
        self.keys = Keys(reader, sealer, lambda: self.changes().keys)
        self.directory = SqliteDirectory(reader, self._provision)
        self.revocations = SqliteRevocations(reader, partial(upkeep.prune, path))

    def changes(self) -> "Changes":
        """What writes, opened with the first change: SQLAlchemy is a third of a second and 20 MiB of a start."""
        if self._changes is None:
            from gateway.store.changes import Changes

            self._changes = Changes(self._path, self._sealer, self._clock)
        return self._changes

    @property
    def accounts(self) -> "Accounts":
        return self.changes().accounts

    @property
    def tenants(self) -> "Tenants":
        return self.changes().tenants

    @property
    def roles(self) -> "Roles":
        return self.changes().roles

    @property
    def grants(self) -> "Grants":
        return self.changes().grants

    @property
    def pepper(self) -> Callable[[str, bytes], bytes]:
        """For `identity.codes`."""
        return self._sealer.mac

    async def touch(self, used: Mapping[str, float]) -> None:
        await upkeep.touch(self._path, used)

    async def forget(self, before: float) -> None:
        await upkeep.forget(self._path, before)

    async def has_people(self) -> bool:
        """Whether anybody has an account; read by hand, as a start does."""
        return bool(await self._reader.rows("SELECT 1 FROM account WHERE kind = 'human' LIMIT 1"))

    async def mail_is_due(self, now: float) -> bool:
        return await due(self._reader, now)

    async def open_changes(self) -> None:
        """Makes `changes` ready without holding up the loop: it is a third of a second's import."""
        if self._changes is None:
            await asyncio.to_thread(import_module, "gateway.store.changes")
            self.changes()

    async def aclose(self) -> None:
        self._reader.shutdown()
        if self._changes is not None:
            await self._changes.database.aclose()

    async def _provision(self, issuer: str, subject: str, email: str, name: str) -> None:
        await self.open_changes()
        await self.accounts.provision(issuer, subject, email, name)


async def open_store(url: str, master_key: bytes, clock: Clock) -> Store:
    """Open the database at `url` (sqlite:///path) that `schema.migrate` made; it is never made here.

    master_key: 32 bytes, see `seal.master_key`. Raises DependencyFailed("store_unavailable") when the file is missing
    or locked, its tables are of another version, or its keys were sealed with another master key.
    """
    path = database_path(url)
    reader = Reader(path)
    store = Store(path, reader, Sealer(master_key, clock.token_bytes), clock)
    try:
        await require_current(reader, path)
        await store.keys.require_master_key()
    except BaseException:
        await store.aclose()
        raise
    return store
