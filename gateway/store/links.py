"""External identities of accounts: the LinkStore port."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, select

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.audit import Event
from gateway.identity.letters import Letter
from gateway.identity.model import Account, LinkedIdentity
from gateway.store.database import Database
from gateway.store.grants import revoke_where
from gateway.store.locks import hold, hold_account
from gateway.store.notes import noted
from gateway.store.outbox import post
from gateway.store.revocations import revoked
from gateway.store.rows import Values, require_live, select_accounts, to_account
from gateway.store.seal import Sealer
from gateway.store.tables import account, external_identity, grant_


class Links:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def link(self, link: LinkedIdentity, letter: Letter | None) -> LinkedIdentity:
        at = self._clock.now()
        same = select(external_identity).filter_by(issuer=link.issuer, subject=link.subject)
        async with self._database.writing() as connection:
            await hold_account(connection, link.account_id)
            await hold(connection, "identity", link.issuer, link.subject)
            await require_live(connection, link.account_id)
            row = (await connection.execute(same)).first()
            if row is not None and row.account_id == link.account_id:
                return to_link(row)
            if row is not None:
                raise RequestRejected("conflict", "this identity is linked to another account")
            await connection.execute(insert(external_identity).values(from_link(link)))
            await post(connection, self._sealer, self._clock, letter)
            await revoked(connection, at, "account", link.account_id)  # and all that is known without an account
            noted(connection, Event("identity_linked", link.account_id, link.id, detail={"issuer": link.issuer}))
            return link

    async def links(self, account_id: str) -> Sequence[LinkedIdentity]:
        mine = select(external_identity).where(external_identity.c.account_id == account_id)
        async with self._database.reading() as connection:
            rows = await connection.execute(mine.order_by(external_identity.c.created_at, external_identity.c.id))
            return [to_link(row) for row in rows]

    async def unlink(self, account_id: str, link_id: str) -> None:
        if not await self._remove(account_id, external_identity.c.id == link_id):
            raise RequestRejected("not_found", "the account has no such link")

    async def unlink_issuers(self, account_id: str, prefix: str, dialect: str) -> int:
        return await self._remove(account_id, external_identity.c.issuer.startswith(prefix, autoescape=True), dialect)

    async def holder(self, issuer: str, subject: str) -> Account | None:
        statement = select_accounts().join(external_identity, external_identity.c.account_id == account.c.id)
        known = and_(external_identity.c.issuer == issuer, external_identity.c.subject == subject)
        async with self._database.reading() as connection:
            row = (await connection.execute(statement.where(known))).first()
            return None if row is None else to_account(row)

    async def _remove(self, account_id: str, which: ColumnElement[bool], dialect: str | None = None) -> int:
        """How many links went. What was verified by one of them is void from here on, and so are the account's live
        grants of that dialect."""
        at = self._clock.now()
        gone = delete(external_identity).where(external_identity.c.account_id == account_id, which)
        async with self._database.writing() as connection:
            await hold_account(connection, account_id)
            count = (await connection.execute(gone)).rowcount
            if count:
                await revoked(connection, at, "account", account_id)
                noted(connection, Event("identity_unlinked", account_id, detail={"links": count}))
            if count and dialect is not None:
                await revoke_where(connection, account_id, grant_.c.dialect == dialect, None, "unlinked", at)
            return count


def to_link(row: Row[Any]) -> LinkedIdentity:
    return LinkedIdentity(row.id, row.account_id, row.issuer, row.subject, row.created_at)


def from_link(link: LinkedIdentity) -> Values:
    return {
        "id": link.id,
        "account_id": link.account_id,
        "issuer": link.issuer,
        "subject": link.subject,
        "created_at": link.created_at,
    }
