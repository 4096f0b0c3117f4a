"""Revocations are written in the last statements of the transaction that changes the thing, in the order of commits.

A poller reads the rows after the last id that it knows, so an id that commits after a greater one is never read. With a
sequence PostgreSQL would give ids out in the order in which transactions ask. So an id is taken from one row, whose
lock is held until the commit, and it is taken last: the lock is short, and whoever holds it waits for no other.
"""

from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.tables import revocation, revocation_latest

_UNTOLD = "gateway_revocations"  # in the `info` of a connection


def begin(connection: AsyncConnection) -> None:
    """Nothing is left of a transaction that failed."""
    connection.info[_UNTOLD] = []


async def revoked(connection: AsyncConnection, at: float, kind: str, subject: str) -> None:
    """Tell every worker, with the commit of this transaction."""
    connection.info[_UNTOLD].append({"at": at, "kind": kind, "subject": subject})


async def tell(connection: AsyncConnection) -> None:
    rows: list[dict[str, Any]] = connection.info.pop(_UNTOLD)
    if not rows:
        return
    taken = update(revocation_latest).values(id=revocation_latest.c.id + len(rows)).returning(revocation_latest.c.id)
    last = (await connection.execute(taken)).scalar_one()
    numbered = [row | {"id": number} for number, row in enumerate(rows, last - len(rows) + 1)]
    await connection.execute(insert(revocation), numbered)
