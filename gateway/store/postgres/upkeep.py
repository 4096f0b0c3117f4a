"""What is written now and then for nobody in particular: as `store/sqlite/upkeep.py`, and without SQLAlchemy too.

Each runs on a connection of its own, which is a few milliseconds once a minute and none in between.
"""

from collections.abc import Mapping

import asyncpg

from gateway.errors import DependencyFailed
from gateway.store.postgres.address import Address, arguments, milliseconds

PATIENCE = 5.0  # seconds to wait for another write
WORKING = 60.0  # seconds that a deletion may take: there may be an hour's rows
SESSIONS_KEPT = 30 * 86400.0  # longer than challenges, for whoever asks how somebody got in

PRUNE = "DELETE FROM revocation WHERE at < $1"
# what another transaction holds is for the next time: nobody waits for a deletion, and it waits for nobody
FORGET = """
  DELETE FROM challenge WHERE id IN (SELECT id FROM challenge WHERE expires_at < $1 FOR UPDATE SKIP LOCKED)
"""
# connection strings stay: their digests keep a revoked one from being made again
ENDED = """
  DELETE FROM grant_ WHERE id IN (
    SELECT id FROM grant_ WHERE kind <> 'connection' AND least(expires_at, coalesce(revoked_at, expires_at)) < $1
    FOR UPDATE SKIP LOCKED)
"""
TOUCH = "UPDATE grant_ SET last_used_at = $1 WHERE id = $2 AND coalesce(last_used_at, 0) < $1"


async def prune(address: Address, before: float) -> None:
    await _write(address, PRUNE, [(before,)])


async def forget(address: Address, before: float) -> None:
    await _write(address, FORGET, [(before,)])
    await _write(address, ENDED, [(before - SESSIONS_KEPT,)])


async def touch(address: Address, used: Mapping[str, float]) -> None:
    """In the order of ids, as `store.locks` has it."""
    await _write(address, TOUCH, [(at, grant_id) for grant_id, at in sorted(used.items())])


async def _write(address: Address, statement: str, rows: list[tuple[object, ...]]) -> None:
    """All or nothing. Raises DependencyFailed("store_unavailable")."""
    said = arguments(address, WORKING, lock_timeout=milliseconds(PATIENCE))
    try:
        connection = await asyncpg.connect(**said)
        try:
            await connection.executemany(statement, rows)
        finally:
            await connection.close(timeout=PATIENCE)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise DependencyFailed("store_unavailable", f"{address}: {error}", 1) from error
