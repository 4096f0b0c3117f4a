"""Migrations, run from inside the program: the revisions are in the package and there is no alembic.ini."""

import itertools
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from gateway.errors import DependencyFailed
from gateway.store.database import Database
from gateway.store.engines import engine_of
from gateway.store.locks import hold
from gateway.store.told import Told, silent

MIGRATIONS = Path(__file__).parent / "migrations"


def newest() -> str:
    """The revision that this version of the program was written for."""
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert head is not None
    return head


async def migrate(url: str, password: str = "", told: Told = silent) -> tuple[str | None, str]:
    """Bring the database at `url` (`engines.engine_of`) to the newest revision, creating a file if it is missing.

    Returns the revision before (None for an empty database) and after. Each revision is all or nothing: one that
    fails, or is interrupted, leaves the tables of the one before, and the next call goes on from there. Of several at
    once each does what the others have not done. Raises DependencyFailed("store_unavailable").
    """
    database = engine_of(url, password).migrating()
    try:
        before = await _next(database)
        done = before
        for count, revision in enumerate(pending := after(before)):
            told("migrating", count, len(pending))
            done = await _next(database, revision)
        told("migrating", len(pending), len(pending))
        assert done is not None
        return before, done
    finally:
        await database.aclose()


async def _next(database: Database, revision: str | None = None) -> str | None:
    """The revision that is there once this one was reached, unless another migration was faster."""
    async with database.writing() as connection:
        await hold(connection, "migrations")
        found = await connection.run_sync(current)
        require_known(found)
        if revision is None or revision not in after(found):
            return found
        await connection.run_sync(upgrade, revision)
        return revision


def after(revision: str | None) -> list[str]:
    """Those that are still to come, the first to be done first."""
    scripts = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    return [script.revision for script in itertools.takewhile(lambda one: one.revision != revision, scripts)][::-1]


def require_known(revision: str | None) -> None:
    # an older program would misread, or destroy, what a newer one wrote
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if revision is not None and revision not in known:
        raise DependencyFailed("store_unavailable", f"the database is at revision {revision}, newer than this program")


def current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
