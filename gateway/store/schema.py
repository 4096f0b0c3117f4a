"""Migrations, run from inside the program: the revisions are in the package and there is no alembic.ini."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from gateway.errors import DependencyFailed
from gateway.store.engines import engine_of
from gateway.store.locks import hold

MIGRATIONS = Path(__file__).parent / "migrations"


def newest() -> str:
    """The revision that this version of the program was written for."""
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert head is not None
    return head


async def migrate(url: str, password: str = "") -> tuple[str | None, str]:
    """Bring the database at `url` (`engines.engine_of`) to the newest revision, creating a file if it is missing.

    Returns the revision before (None for an empty database) and after. All or nothing: a failing migration leaves
    the old tables. Of several at once one does it, and the others find it done. Raises
    DependencyFailed("store_unavailable").
    """
    database = engine_of(url, password).migrating()
    try:
        async with database.writing() as connection:
            await hold(connection, "migrations")
            before = await connection.run_sync(current)
            require_known(before)
            await connection.run_sync(upgrade)
            return before, newest()
    finally:
        await database.aclose()


def require_known(revision: str | None) -> None:
    # an older program would misread, or destroy, what a newer one wrote
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if revision is not None and revision not in known:
        raise DependencyFailed("store_unavailable", f"the database is at revision {revision}, newer than this program")


def current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
