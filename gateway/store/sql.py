"""The store as the composition root sees it: one object whose parts are the ports of the identity core."""

import asyncio
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from gateway.clock import Clock
from gateway.store.engines import Engine, engine_of
from gateway.store.keyring import Keys
from gateway.store.reading import Directory, Revocations, Timed
from gateway.store.revision import require_current
from gateway.store.seal import Masters, Sealer

if TYPE_CHECKING:
    from gateway.store.accounts import Accounts
    from gateway.store.changes import Changes
    from gateway.store.grants import Grants
    from gateway.store.tenants import Roles, Tenants


class Store:
    """accounts, tenants, roles, grants: changes. directory, revocations, keys: what every worker reads."""

    def __init__(
        self,
        engine: Engine,
        sealer: Sealer,
        masters: Masters,
        clock: Clock,
        took: Callable[[float], object] = lambda _: None,
    ) -> None:
        """took: told the seconds of each read."""
        self._engine = engine
        self._reader = Timed(engine.reader(), clock.monotonic, took)
        self._watcher = engine.watcher()
        self._sealer = sealer
        self.masters = masters
        self._clock = clock
        self._changes: Changes | None = None
        self.keys = Keys(self._reader, sealer, masters, lambda: self.changes().keys)
        self.directory = Directory(self._reader, engine.statements, self._provision)
        self.revocations = Revocations(self._watcher, engine.statements, engine.prune)

    def changes(self) -> "Changes":
        """What writes, opened with the first change: SQLAlchemy is a third of a second and 20 MiB of a start."""
        if self._changes is None:
            from gateway.store.changes import Changes

            self._changes = Changes(self._engine.database(), self._sealer, self._clock)
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

    @property
    def root(self) -> bytes:
        """What keys for other places are derived from (`seal.derived`); another after a change of the master key."""
        return self._sealer.root

    @property
    def shared(self) -> bool:
        """Whether other machines may ask the same database."""
        return self._engine.shared

    def usage(self) -> Mapping[str, int]:
        """Of the reads, as in Reader."""
        return self._reader.usage()

    async def touch(self, used: Mapping[str, float]) -> None:
        await self._engine.touch(used)

    async def forget(self, before: float) -> None:
        await self._engine.forget(before)

    async def has_people(self) -> bool:
        """Whether anybody has an account; read by hand, as a start does."""
        return bool(await self._reader.rows(self._engine.statements.has_people))

    async def mail_is_due(self, now: float) -> bool:
        """Asked each second by every worker, so not through SQLAlchemy. now: seconds since the epoch."""
        return bool((await self._reader.rows(self._engine.statements.due, (now,)))[0][0])

    async def audit_waits(self) -> bool:
        """Whether rows of the audit trail are to be sealed: asked each second, as `mail_is_due`."""
        return bool((await self._reader.rows(self._engine.statements.unsealed))[0][0])

    async def audit_oldest(self) -> float | None:
        """When the audit trail's first row was written, in seconds since the epoch."""
        rows = await self._reader.rows(self._engine.statements.oldest)
        return None if not rows else float(str(rows[0][0]))

    async def seal_audit(self) -> None:
        """For a command, which no sealer goes with: what it wrote gets its place in the chain."""
        if self._changes is not None:
            await self._changes.seals.seal(patient=True)

    async def open_changes(self) -> None:
        """Makes `changes` ready without holding up the loop: it is a third of a second's import."""
        if self._changes is None:
            await asyncio.to_thread(import_module, "gateway.store.changes")
            self.changes()

    async def aclose(self) -> None:
        await self._reader.aclose()
        await self._watcher.aclose()
        if self._changes is not None:
            await self._changes.database.aclose()

    async def require_current(self) -> None:
        """Raises DependencyFailed unless the tables are of this version, and the keys of this master key."""
        await require_current(self._reader, self._engine)
        await self.keys.require_master_key()

    async def _provision(self, issuer: str, subject: str, email: str, name: str) -> None:
        await self.open_changes()
        await self.accounts.provision(issuer, subject, email, name)


async def open_store(
    url: str,
    master_key: bytes,
    clock: Clock,
    password: str = "",
    previous: bytes | None = None,
    took: Callable[[float], object] = lambda _: None,
) -> Store:
    """Open the database at `url` (`engines.engine_of`) that `schema.migrate` made; it is never made here.

    master_key: 32 bytes, see `seal.master_key`. password: of the URL's user. previous: the master key before, while it
    is being changed. took: as in Store. Raises
    DependencyFailed("store_unavailable") when the database is missing, locked or out of reach, its tables are of
    another version, or its keys were sealed with another master key.
    """
    masters = Masters(master_key, previous, clock.token_bytes)
    store = Store(engine_of(url, password), Sealer(master_key, clock.token_bytes), masters, clock, took)
    try:
        await store.require_current()
    except BaseException:
        await store.aclose()
        raise
    return store
