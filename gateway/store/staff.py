"""That somebody is left who may administrate."""

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import RequestRejected
from gateway.identity.model import Account
from gateway.store.locks import hold
from gateway.store.tables import account

_LIVE_STAFF = and_(account.c.is_staff, account.c.status == "active", ~account.c.deleted, ~account.c.archived)


async def require_other_staff(connection: AsyncConnection, losing: Account) -> None:
    """Raises RequestRejected("conflict") where nobody of the staff would be left. `losing` is held; two who would each
    take the other's place wait for one another here."""
    if not (losing.is_staff and losing.is_live):
        return
    await hold(connection, "accounts")
    others = select(account.c.id).where(_LIVE_STAFF, account.c.id != losing.id).limit(1)
    if (await connection.execute(others)).first() is None:
        raise RequestRejected("conflict", "it is the last account of the staff")
