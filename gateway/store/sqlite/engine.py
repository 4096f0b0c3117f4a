"""SQLite as the store opens it: reading at once, writing when it is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.store.sqlite import upkeep
from gateway.store.sqlite.file import database_path, make_file
from gateway.store.sqlite.reader import STATEMENTS, Reader

if TYPE_CHECKING:
    from gateway.store.database import Database


class SqliteEngine:
    """The Engine of `sqlite:///PATH`. Raises DependencyFailed for another URL."""

    statements = STATEMENTS
    shared = False  # a file

    def __init__(self, url: str) -> None:
        self.path: Path = database_path(url)
        self.name = str(self.path)

    def reader(self) -> Reader:
        return Reader(self.path)

    def watcher(self) -> Reader:
        return Reader(self.path)

    def database(self) -> "Database":
        from gateway.store.sqlite.writes import open_database  # SQLAlchemy

        return open_database(self.path)

    def migrating(self) -> "Database":
        make_file(self.path)
        return self.database()

    async def prune(self, before: float) -> None:
        await upkeep.prune(self.path, before)

    async def touch(self, used: Mapping[str, float]) -> None:
        await upkeep.touch(self.path, used)

    async def forget(self, before: float) -> None:
        await upkeep.forget(self.path, before)
