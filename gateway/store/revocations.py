"""Revocation rows that nobody needs any more. They are written with the change that they tell of (`rows.revoked`)."""

from sqlalchemy import delete

from gateway.store.engine import Database
from gateway.store.tables import revocation


async def prune(database: Database, before: float) -> None:
    """Delete the rows written before this, in seconds since the epoch. Their ids are never given out again."""
    async with database.writing() as connection:
        await connection.execute(delete(revocation).where(revocation.c.at < before))
