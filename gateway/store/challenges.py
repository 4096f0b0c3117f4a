"""Challenges: the ChallengeStore port. Every step is one guarded UPDATE, and a claim is one transaction."""

from sqlalchemy import ColumnElement, Update, and_, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.audit import Detail, Event, Kind, account
from gateway.identity.challenge import Challenge, Purpose
from gateway.identity.letters import Letter
from gateway.identity.model import Confirmed, Grant, Issue
from gateway.store.accounts import put_email, put_password
from gateway.store.database import Database, broken
from gateway.store.factors import put_active
from gateway.store.grants import end_sessions, from_issue, revoke_others
from gateway.store.locks import hold, hold_account
from gateway.store.notes import noted, nothing_noted
from gateway.store.outbox import post
from gateway.store.revocations import revoked
from gateway.store.rows import from_challenge, is_live, overtaken, require_live, to_challenge
from gateway.store.seal import Sealer
from gateway.store.tables import challenge, grant_

MAILED: dict[Purpose, Kind] = {
    "login": "link_sent",
    "step_up": "login_waits",
    "reset_password": "reset_sent",
    "approval": "approval_asked",
    "new_email": "email_change_asked",
}
_WHOSE = (challenge.c.account_id, challenge.c.purpose)


class Challenges:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def begin(
        self, value: Challenge, link: bytes | None, letter: Letter | None, client: bytes | None = None
    ) -> None:
        older = and_(challenge.c.purpose == value.purpose, challenge.c.address_key == value.address_key)
        over = self._live_where(older).values(state="superseded", decided_at=self._clock.now())
        async with self._database.writing() as connection:
            if value.address_key is not None:
                await hold(connection, "challenge", value.purpose, value.address_key)  # one of parallel ones is left
                await connection.execute(over)
            row = from_challenge(value, self._sealer) | {"link_hash": link, "client_hash": client}
            await connection.execute(insert(challenge).values(row))
            await post(connection, self._sealer, self._clock, letter)
            if letter is not None and letter.decoy:
                nothing_noted(connection)
            else:
                kind: Kind = "login_begun" if letter is None else MAILED[value.purpose]
                noted(connection, Event(kind, value.account_id, actor=_of(value.account_id) if letter is None else ""))

    async def by_link(self, link: bytes) -> Challenge | None:
        return await self._one(challenge.c.link_hash == link)

    async def by_client(self, client: bytes) -> Challenge | None:
        return await self._one(challenge.c.client_hash == client)

    async def begun_by(self, account_id: str, dialect: str, ip: str, user_agent: str) -> Challenge | None:
        mine = and_(challenge.c.account_id == account_id, challenge.c.dialect == dialect, challenge.c.needs_code)
        here = and_(challenge.c.purpose == "login", challenge.c.ip == ip, challenge.c.ua == user_agent)
        return await self._one(and_(mine, here, self._live()))

    async def decide(
        self, challenge_id: str, approved: bool, method: str | None = None, letter: Letter | None = None
    ) -> bool:
        change = self._move(challenge_id).where(challenge.c.state != "approved")
        decision = {"state": "approved" if approved else "denied", "method": method, "decided_at": self._clock.now()}
        async with self._database.writing() as connection:
            row = (await connection.execute(change.values(decision).returning(*_WHOSE))).first()
            if row is None:
                return False
            await post(connection, self._sealer, self._clock, letter)
            kind: Kind = "approval_granted" if approved else "approval_denied"
            detail: Detail = {"asked": row.purpose, "method": method}
            noted(connection, Event(kind, row.account_id, actor=_of(row.account_id), detail=detail))
            return True

    async def by_address(self, purpose: Purpose, address_key: str) -> Challenge | None:
        mine = and_(challenge.c.purpose == purpose, challenge.c.address_key == address_key)
        return await self._one(and_(mine, self._live()))

    async def by_grant(self, grant_id: str) -> Challenge | None:
        mine = and_(challenge.c.purpose == "step_up", challenge.c.grant_id == grant_id)
        return await self._one(and_(mine, self._live()))

    async def show(self, challenge_id: str) -> bool:
        async with self._database.writing() as connection:
            unseen = self._move(challenge_id).where(challenge.c.state.in_(("open", "shown")))
            row = (await connection.execute(unseen.values(state="shown").returning(*_WHOSE))).first()
            if row is not None:
                noted(connection, Event("link_opened", row.account_id))
            return row is not None

    async def spend_try(self, challenge_id: str, spare: int = 0) -> bool:
        change = self._move(challenge_id).where(challenge.c.tries_left > spare)
        async with self._database.writing() as connection:
            return await _moved(connection, change.values(tries_left=challenge.c.tries_left - 1))

    async def claim(
        self, challenge_id: str, issue: Issue, epoch: int, step_up: Challenge | None, *, single: bool = False
    ) -> bool:
        async with self._database.writing() as connection:
            await hold_account(connection, issue.grant.account_id)
            if not await _moved(connection, self._decided(challenge_id)):
                return False
            found = await require_live(connection, issue.grant.account_id)  # raises: then it is not claimed either
            if found.epoch != epoch:
                return False  # and cannot be claimed again: what it rests on has changed
            if single:
                await end_sessions(connection, issue.grant.account_id, issue.grant.dialect, self._clock.now())
            await connection.execute(insert(grant_).values(from_issue(issue)))
            if step_up is not None:
                await connection.execute(insert(challenge).values(from_challenge(step_up, self._sealer)))
            noted(connection, entered(issue.grant))
            return True

    async def claim_enrolling(
        self, challenge_id: str, issue: Issue, epoch: int, factor: Confirmed, letter: Letter | None
    ) -> bool:
        account_id, at = issue.grant.account_id, self._clock.now()
        async with self._database.writing() as connection:
            await hold_account(connection, account_id)
            if not await _moved(connection, self._decided(challenge_id)):
                return False
            await require_live(connection, account_id)
            if not await _moved(connection, overtaken(account_id, epoch)):  # so there is no active one
                return False
            await put_active(connection, self._sealer, factor, at)
            await revoke_others(connection, account_id, None, "second factor enabled", at)
            await connection.execute(insert(grant_).values(from_issue(issue)))
            await post(connection, self._sealer, self._clock, letter)
            noted(connection, Event("factor_enrolled", account_id, factor.factor.id, actor=account(account_id)))
            noted(connection, entered(issue.grant))
            return True

    async def lift(self, challenge_id: str, grant_id: str, expires_at: float, amr: str) -> bool:
        at = self._clock.now()
        mine = and_(grant_.c.id == grant_id, grant_.c.restricted, is_live(at))
        async with self._database.writing() as connection:
            holder = (await connection.execute(select(grant_.c.account_id).where(grant_.c.id == grant_id))).scalar()
            if holder is not None:
                await hold_account(connection, holder)
            if not await _moved(connection, self._decided(challenge_id)) or holder is None:
                return False
            if (await connection.execute(select(grant_.c.id).where(mine))).first() is None:
                return False
            await require_live(connection, holder)
            methods = grant_.c.amr + f" {amr}"
            change = update(grant_).where(mine).values(restricted=False, aal=2, amr=methods, expires_at=expires_at)
            if not await _moved(connection, change):
                return False
            detail: Detail = {"aal": 2, "amr": amr}
            noted(connection, Event("login_succeeded", holder, grant_id, actor=account(holder), detail=detail))
            await revoked(connection, at, "grant", grant_id)  # nothing is revoked: every worker reads it anew
            return True

    async def reset_password(self, challenge_id: str, account_id: str, phc: str, letter: Letter | None) -> bool:
        async with self._database.writing() as connection:
            await hold_account(connection, account_id)
            if not await _moved(connection, self._decided(challenge_id)):
                return False
            await require_live(connection, account_id)
            await put_password(connection, account_id, phc, None, self._clock.now())
            await post(connection, self._sealer, self._clock, letter)
            noted(connection, Event("password_reset", account_id, actor=account(account_id)))
            return True

    async def confirm_email(
        self, challenge_id: str, account_id: str, address: str, key: str, letter: Letter | None
    ) -> bool:
        at = self._clock.now()
        try:
            async with self._database.writing() as connection:
                await hold_account(connection, account_id)
                if not await _moved(connection, self._decided(challenge_id)):
                    return False
                began = select(challenge.c.epoch).where(challenge.c.id == challenge_id)
                if (await require_live(connection, account_id)).epoch != (await connection.execute(began)).scalar():
                    return False
                await put_email(connection, account_id, address, key, at)
                await post(connection, self._sealer, self._clock, letter)
                noted(connection, Event("email_changed", account_id, actor=account(account_id)))
                return True
        except IntegrityError as error:
            if broken(error) != "uq_email_key_verified":
                raise
            raise RequestRejected("conflict", "the e-mail address is taken") from error

    def _live(self) -> ColumnElement[bool]:
        return and_(challenge.c.state.in_(("open", "shown", "approved")), challenge.c.expires_at > self._clock.now())

    def _live_where(self, which: ColumnElement[bool]) -> Update:
        return update(challenge).where(which, self._live())

    def _move(self, challenge_id: str) -> Update:
        return self._live_where(challenge.c.id == challenge_id)

    def _decided(self, challenge_id: str) -> Update:
        return self._move(challenge_id).values(state="claimed", decided_at=self._clock.now())

    async def _one(self, which: ColumnElement[bool]) -> Challenge | None:
        statement = select(challenge).where(which).order_by(challenge.c.created_at.desc()).limit(1)
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).first()
            return None if row is None else to_challenge(row, self._sealer)


async def _moved(connection: AsyncConnection, change: Update) -> bool:
    """Whether exactly one row was as the guard wanted it."""
    return (await connection.execute(change)).rowcount == 1


def entered(grant: Grant) -> Event:
    """A login's end, or its first half."""
    kind: Kind = "login_waits" if grant.restricted else "login_succeeded"
    detail: Detail = {"aal": grant.aal, "amr": " ".join(grant.amr)}
    return Event(kind, grant.account_id, grant.id, actor=account(grant.account_id), detail=detail)


def _of(account_id: str | None) -> str:
    """Who has just proved to be this one; "" for nobody."""
    return "" if account_id is None else account(account_id)
