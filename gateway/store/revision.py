"""Whether the tables are those that this version of the program was written for. Changing them is `store.schema`."""

from gateway.errors import DependencyFailed
from gateway.store.engines import Engine
from gateway.store.reading import Reader

NEWEST = "0004"  # the last migration; a test holds it to the folder


async def require_current(reader: Reader, engine: Engine) -> None:
    """Raises DependencyFailed unless the tables are of the newest revision."""
    found = await _current(reader, engine)
    if found == NEWEST:
        return
    from gateway.store.schema import require_known  # Alembic: 0.2 s and 10 MiB, which a good start does without

    require_known(found)
    raise DependencyFailed(
        "store_unavailable", f"{engine.name} is at revision {found}, not {NEWEST}: run `gateway migrate`"
    )


async def _current(reader: Reader, engine: Engine) -> str | None:
    if not await reader.rows(engine.statements.has_tables):
        return None
    rows = await reader.rows(engine.statements.revision)
    return str(rows[0][0]) if rows else None
