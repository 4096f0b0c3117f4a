"""Accounts: the AccountStore port, and the account that an external identity brings along."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import and_, bindparam, delete, exists, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.audit import Event, Kind
from gateway.identity.audit import account as acting_account
from gateway.identity.challenge import Mailed
from gateway.identity.letters import Letter
from gateway.identity.model import Account, AccountGuard, AccountStatus, Issue, MfaPolicy, Owner, Password, unguarded
from gateway.store.database import Database, broken
from gateway.store.grants import from_issue, revoke_others
from gateway.store.locks import hold, hold_account
from gateway.store.notes import noted
from gateway.store.outbox import post
from gateway.store.revocations import revoked
from gateway.store.rows import (
    changed,
    from_account,
    from_challenge,
    require_account,
    require_kept,
    select_accounts,
    to_account,
)
from gateway.store.seal import Sealer
from gateway.store.staff import require_other_staff
from gateway.store.tables import account, challenge, email, external_identity, grant_, password, tenant

held_email = email.alias("held_email")  # any address of the account; `select_accounts` joins the primary one

TAKEN = {"uq_account_username_key": "the username", "uq_email_key_verified": "the e-mail address"}
STATUS_KINDS: dict[AccountStatus, Kind] = {
    "active": "account_enabled",
    "pending": "account_disabled",
    "disabled": "account_disabled",
    "deleted": "account_deleted",
}
# every login asks one of these, and building one takes longer than asking
_BY_EMAIL = (
    select_accounts()
    .join(held_email, held_email.c.account_id == account.c.id)
    .where(held_email.c.key == bindparam("of"), held_email.c.verified_at.is_not(None))
)
_BY_USERNAME = select_accounts().where(account.c.username_key == bindparam("of"))
_PEOPLE = select(account.c.id).where(account.c.kind == "human").limit(1)


class Accounts:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def add_account(
        self,
        value: Account,
        email_key: str,
        username_key: str | None = None,
        phc: str | None = None,
        *,
        provisioned: bool = False,
    ) -> None:
        at = self._clock.now()
        async with self._adding() as connection:
            await add_person(connection, value, username_key, phc, at)
            if value.owner.email:
                await add_email(connection, value, email_key, at)
            noted(connection, _created(value, "account_provisioned" if provisioned else "account_created", phc))

    async def register(
        self, value: Account, username_key: str, session: Issue, phc: str | None = None, wish: Mailed | None = None
    ) -> None:
        async with self._adding() as connection:
            await add_person(connection, value, username_key, phc, self._clock.now())
            await connection.execute(insert(grant_).values(from_issue(session)))
            actor = acting_account(value.id)
            noted(connection, Event("registered", value.id, session.grant.id, actor=actor))
            if wish is not None:  # the account's first: there is no older one to end
                row = from_challenge(wish.challenge, self._sealer) | {"link_hash": wish.link}
                await connection.execute(insert(challenge).values(row))
                await post(connection, self._sealer, self._clock, wish.letter)
                noted(connection, Event("email_change_asked", value.id, actor=actor))

    async def has_people(self) -> bool:
        async with self._database.reading() as connection:
            return (await connection.execute(_PEOPLE)).first() is not None

    async def add_first(self, value: Account, username_key: str, phc: str) -> bool:
        at = self._clock.now()
        async with self._database.writing() as connection:
            await hold(connection, "accounts")
            if (await connection.execute(_PEOPLE)).first() is not None:
                return False
            await add_person(connection, value, username_key, phc, at)
            noted(connection, _created(value, "setup_done", phc))
            return True

    async def account(self, account_id: str) -> Account:
        async with self._database.reading() as connection:
            return await require_account(connection, account_id)

    async def accounts(self) -> Sequence[Account]:
        own = exists().where(tenant.c.account_id == account.c.id)
        async with self._database.reading() as connection:
            rows = await connection.execute(select_accounts().where(~own).order_by(account.c.num))
            return [to_account(row) for row in rows]

    async def by_email(self, key: str) -> Account | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(_BY_EMAIL, {"of": key})).first()
            return None if row is None else to_account(row)

    async def by_username(self, key: str) -> Account | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(_BY_USERNAME, {"of": key})).first()
            return None if row is None else to_account(row)

    async def password(self, account_id: str) -> Password | None:
        async with self._database.reading() as connection:
            statement = select(password.c.phc, password.c.failures).where(password.c.account_id == account_id)
            row = (await connection.execute(statement)).first()
            return None if row is None else Password(row.phc, row.failures)

    async def guessed(self, account_id: str, right: bool) -> None:
        failures = 0 if right else password.c.failures + 1
        async with self._database.writing() as connection:
            change = update(password).where(password.c.account_id == account_id)
            await connection.execute(change.values(failures=failures))

    async def set_password(
        self, account_id: str, phc: str, keep: str | None, letter: Letter | None, guard: AccountGuard = unguarded
    ) -> None:
        at = self._clock.now()
        async with self._database.writing() as connection:
            await hold_account(connection, account_id)
            guard(await require_account(connection, account_id))
            await put_password(connection, account_id, phc, keep, at)
            await post(connection, self._sealer, self._clock, letter)
            noted(connection, Event("password_changed", account_id))

    async def rehash(self, account_id: str, old: str, new: str) -> None:
        same = and_(password.c.account_id == account_id, password.c.phc == old)
        async with self._database.writing() as connection:
            await connection.execute(update(password).where(same).values(phc=new))

    async def set_status(
        self, account_id: str, status: AccountStatus, guard: AccountGuard = unguarded, *, keep_staff: bool = False
    ) -> bool:
        at = self._clock.now()
        async with self._database.writing() as connection:
            await hold_account(connection, account_id)
            found = await require_account(connection, account_id)
            guard(found)
            before = found.status
            if before == status:
                return False
            require_kept(found)
            if keep_staff and status != "active":
                await require_other_staff(connection, found)
            change = update(account).where(account.c.id == account_id).values(status=status, updated_at=at)
            await connection.execute(change)
            await revoked(connection, at, "account", account_id)
            noted(connection, Event(STATUS_KINDS[status], account_id, detail={"before": before}))
            return True

    async def set_mfa_policy(self, account_id: str, policy: MfaPolicy, guard: AccountGuard = unguarded) -> bool:
        async with self._database.writing() as connection:
            await hold_account(connection, account_id)
            found = await require_account(connection, account_id)
            guard(found)
            if found.mfa_policy == policy:
                return False
            await connection.execute(update(account).where(account.c.id == account_id).values(mfa_policy=policy))
            await changed(connection, account_id)
            noted(connection, Event("mfa_required" if policy == "required" else "mfa_not_required", account_id))
            return True

    async def provision(self, issuer: str, subject: str, address: str, name: str) -> None:
        """Make an account for an external identity, unless there is one. Two at once make one account.

        address: in normal form, "" if the issuer proved none. One that another account has proved is left out: who
        controls it at the issuer must not be able to speak as that account.
        """
        at = self._clock.now()
        local, _, domain = address.rpartition("@")
        email_key = f"{local.lower()}@{domain}"  # as `identity.addresses` makes it
        async with self._database.writing() as connection:
            await hold(connection, "identity", issuer, subject)
            known = select(external_identity.c.id).filter_by(issuer=issuer, subject=subject)
            if (await connection.execute(known)).first() is not None:
                return
            await hold(connection, "accounts")
            await hold(connection, "address", email_key)  # so that it is still free when it is added
            held = select(email.c.id).where(email.c.key == email_key, email.c.verified_at.is_not(None))
            free = address != "" and (await connection.execute(held)).first() is None
            owner = Owner(id=self._clock.uuid4(), email=address if free else "")
            value = Account(id=self._clock.uuid4(), name=name, owner=owner)
            await connection.execute(insert(account).values(from_account(value, at)))
            if free:
                await add_email(connection, value, email_key, at)
            link = {"id": self._clock.uuid4(), "account_id": value.id, "issuer": issuer, "subject": subject}
            await connection.execute(insert(external_identity).values(link | {"created_at": at}))
            noted(connection, Event("account_provisioned", value.id, actor=f"issuer:{issuer}"))

    @asynccontextmanager
    async def _adding(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that adds an account. Raises RequestRejected("conflict")."""
        try:
            async with self._database.writing() as connection:
                await hold(connection, "accounts")
                yield connection
        except IntegrityError as error:
            taken = TAKEN.get(broken(error))
            if taken is None:
                raise
            raise RequestRejected("conflict", f"{taken} is taken") from error


def _created(value: Account, kind: Kind, phc: str | None) -> Event:
    return Event(
        kind,
        value.id,
        detail={"staff": value.is_staff, "manager": value.is_manager, "password": phc is not None},
    )


async def add_person(
    connection: AsyncConnection, value: Account, username_key: str | None, phc: str | None, at: float
) -> None:
    """An account with what it is named by and logs in with. `accounts` is held."""
    await connection.execute(insert(account).values(from_account(value, at) | {"username_key": username_key}))
    if phc is not None:
        row = {"account_id": value.id, "phc": phc, "set_at": at, "must_change": False}
        await connection.execute(insert(password).values(row))


async def put_password(connection: AsyncConnection, account_id: str, phc: str, keep: str | None, at: float) -> None:
    """In the place of the old one; all grants but `keep` end, and so do logins under way. The account is held."""
    await connection.execute(delete(password).where(password.c.account_id == account_id))
    row = {"account_id": account_id, "phc": phc, "set_at": at, "must_change": False}
    await connection.execute(insert(password).values(row))
    await changed(connection, account_id)
    await revoke_others(connection, account_id, keep, "password changed", at)
    # a mail that was sent before must not undo it
    live = and_(challenge.c.account_id == account_id, challenge.c.state.in_(("open", "shown")))
    await connection.execute(update(challenge).where(live).values(state="superseded", decided_at=at))


async def put_email(connection: AsyncConnection, account_id: str, address: str, key: str, at: float) -> None:
    """The proven primary one, in the place of the old. What was mailed to the old one lets nobody in any more.

    The account is held.
    """
    await hold(connection, "address", key)
    held = and_(email.c.account_id == account_id, or_(email.c.is_primary, email.c.key == key))
    await connection.execute(delete(email).where(held))
    row = {"account_id": account_id, "address": address, "key": key, "is_primary": True, "verified_at": at}
    await connection.execute(insert(email).values(row))
    await changed(connection, account_id)
    await revoked(connection, at, "account", account_id)  # nothing is revoked: every worker reads it anew
    live = and_(challenge.c.account_id == account_id, challenge.c.state.in_(("open", "shown", "approved")))
    await connection.execute(update(challenge).where(live).values(state="superseded", decided_at=at))


async def add_email(connection: AsyncConnection, value: Account, key: str, at: float) -> None:
    await hold(connection, "address", key)  # whoever looked before it, as `provision` does, is right until it commits
    row = {"account_id": value.id, "address": value.owner.email, "key": key, "is_primary": True, "verified_at": at}
    await connection.execute(insert(email).values(row))
