"""PostgreSQL as the store opens it: reading at once, writing when it is asked for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.store.postgres.address import parse
from gateway.store.postgres.reader import STATEMENTS, Reader
from gateway.store.postgres.upkeep import Upkeep

if TYPE_CHECKING:
    from gateway.store.database import Database


class PostgresEngine:
    """The Engine of `postgresql+asyncpg://...`. Raises DependencyFailed for another URL."""

    statements = STATEMENTS
    shared = True  # other machines may ask the same server

    def __init__(self, url: str, password: str) -> None:
        self.address = parse(url, password)
        self.name = str(self.address)
        self._watcher = Reader(self.address, connections=1)
        self._upkeep = Upkeep(self.address, self._watcher)

    def reader(self) -> Reader:
        return Reader(self.address)

    def watcher(self) -> Reader:
        return self._watcher

    def database(self) -> "Database":
        from gateway.store.postgres.writes import open_database  # SQLAlchemy

        return open_database(self.address)

    def migrating(self) -> "Database":
        from gateway.store.postgres.writes import open_migrating

        return open_migrating(self.address)

    async def prune(self, before: float) -> None:
        await self._upkeep.prune(before)

    async def touch(self, used: Mapping[str, float]) -> None:
        await self._upkeep.touch(used)

    async def forget(self, before: float) -> None:
        await self._upkeep.forget(before)
