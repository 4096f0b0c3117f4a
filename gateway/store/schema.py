"""Migrations, run from inside the program: the revisions are in the package and there is no alembic.ini."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from gateway.errors import DependencyFailed
from gateway.store.engine import Database
from gateway.store.file import database_path, make_file

MIGRATIONS = Path(__file__).parent / "migrations"


def newest() -> str:
    """The revision that this version of the program was written for."""
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert head is not None
    return head


async def migrate(url: str) -> tuple[str | None, str]:
    """Bring the database at `url` (sqlite:///...) to the newest revision, creating the file if it is missing.

    Returns the revision before (None for an empty database) and after. All or nothing: a failing migration leaves
    the old tables. Raises DependencyFailed("store_unavailable").
    """
    path = database_path(url)
    make_file(path)
    database = Database(path)
    try:
        async with database.writing() as connection:
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
