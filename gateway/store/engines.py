"""Which database a URL means. PostgreSQL's driver is loaded with the first URL that names it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from gateway.store.reading import Reader, Statements
from gateway.store.sqlite.engine import SqliteEngine

if TYPE_CHECKING:
    from gateway.store.database import Database


class Engine(Protocol):
    """name: for messages; no secret is in it. Nothing is opened until it is used."""

    @property
    def name(self) -> str: ...

    @property
    def statements(self) -> Statements: ...

    @property
    def shared(self) -> bool:
        """Whether other machines may ask the same one."""

    def reader(self) -> Reader: ...

    def watcher(self) -> Reader:
        """Another, for revocations: however many cold reads wait, it does not wait with them."""

    def database(self) -> "Database":
        """Loads SQLAlchemy."""

    def migrating(self) -> "Database":
        """For `schema.migrate`: makes what can be made, and has the time that a migration needs."""

    async def prune(self, before: float) -> None:
        """Delete revocations written before this, in seconds since the epoch. Their ids are never given out again.

        Where workers share a server one of them deletes, and the others leave it to that one. Raises DependencyFailed,
        as all here do.
        """

    async def forget(self, before: float) -> None:
        """Delete challenges that ended before this, and sessions that ended a month before."""

    async def touch(self, used: Mapping[str, float]) -> None:
        """used: when each grant was seen last, by id."""


def engine_of(url: str, password: str = "") -> Engine:
    """url: `sqlite:///PATH` or `postgresql+asyncpg://USER@HOST:PORT/NAME`. password: of the URL's user.

    Raises DependencyFailed for a URL that is neither.
    """
    if not url.startswith("postgresql"):
        return SqliteEngine(url)
    from gateway.store.postgres.engine import PostgresEngine  # asyncpg

    return PostgresEngine(url, password)
