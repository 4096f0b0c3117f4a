"""Second factors and recovery codes: the FactorStore port."""

import hmac
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.audit import Event, account
from gateway.identity.letters import Letter
from gateway.identity.model import AccountGuard, Confirmed, Enrolment, Factor, unguarded
from gateway.store.database import Database
from gateway.store.grants import revoke_others
from gateway.store.locks import hold_account
from gateway.store.notes import noted
from gateway.store.outbox import post
from gateway.store.revocations import revoked
from gateway.store.rows import Values, changed, require_account
from gateway.store.seal import Sealer, factor_place, recovery_place
from gateway.store.tables import factor, grant_, recovery_code


class Factors:
    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def held(self, account_id: str) -> Enrolment:
        left = select(func.count()).where(recovery_code.c.account_id == account_id, recovery_code.c.used_at.is_(None))
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(factor).where(factor.c.account_id == account_id))).all()
            count = (await connection.execute(left)).scalar_one()
        found = {row.state: self._factor(row) for row in rows}
        return Enrolment(found.get("active"), found.get("pending"), count)

    async def begin(self, value: Factor) -> None:
        mine = factor.c.account_id == value.account_id
        async with self._database.writing() as connection:
            await hold_account(connection, value.account_id)
            if (await connection.execute(select(factor.c.id).where(mine, factor.c.state == "active"))).first():
                raise RequestRejected("mfa_enabled")
            await connection.execute(delete(factor).where(mine, factor.c.state == "pending"))
            row = _row(self._sealer, value, self._clock.now()) | {"state": "pending", "expires_at": value.expires_at}
            await connection.execute(insert(factor).values(row))
            noted(connection, Event("factor_begun", value.account_id, value.id))

    async def confirm(self, value: Factor, step: int, codes: list[bytes], keep: str, letter: Letter | None) -> bool:
        at = self._clock.now()
        pending = and_(factor.c.id == value.id, factor.c.state == "pending", factor.c.expires_at > at)
        change = update(factor).where(pending).values(state="active", confirmed_at=at, expires_at=None, last_step=step)
        async with self._database.writing() as connection:
            await hold_account(connection, value.account_id)
            if (await connection.execute(change)).rowcount != 1:
                return False
            await put_codes(connection, self._sealer, value.account_id, codes, at)
            await changed(connection, value.account_id)
            await revoke_others(connection, value.account_id, keep, "second factor enabled", at)
            raised = update(grant_).where(grant_.c.id == keep, grant_.c.account_id == value.account_id)
            await connection.execute(raised.values(aal=2, amr=grant_.c.amr + " otp"))
            await revoked(connection, at, "grant", keep)  # not ended: every worker reads anew what it proves
            await post(connection, self._sealer, self._clock, letter)
            noted(connection, Event("factor_enrolled", value.account_id, value.id))
            return True

    async def accept(self, factor_id: str, step: int) -> bool:
        later = and_(factor.c.id == factor_id, factor.c.state == "active", factor.c.last_step < step)
        async with self._database.writing() as connection:
            change = update(factor).where(later).values(last_step=step).returning(factor.c.account_id)
            holder = (await connection.execute(change)).scalar()
            if holder is not None:
                noted(connection, Event("factor_proved", holder, factor_id, actor=account(holder)))
            return holder is not None

    async def use_recovery_code(self, account_id: str, mac: bytes, letter: Letter | None) -> bool:
        mine = and_(recovery_code.c.account_id == account_id, recovery_code.c.used_at.is_(None))
        async with self._database.writing() as connection:
            await hold_account(connection, account_id)
            # locked: whoever seals them anew would put other bytes there before the update below
            stored = (await connection.execute(select(recovery_code.c.mac).where(mine).with_for_update())).scalars()
            found = [one for one in stored if self._is(one, account_id, mac)]
            if not found:
                return False
            change = update(recovery_code).where(mine, recovery_code.c.mac == found[0])
            if (await connection.execute(change.values(used_at=self._clock.now()))).rowcount != 1:
                return False
            await post(connection, self._sealer, self._clock, letter)
            noted(connection, Event("recovery_code_used", account_id, actor=account(account_id)))
            return True

    async def replace_recovery_codes(self, factor_id: str, codes: list[bytes], letter: Letter | None) -> bool:
        mine = select(factor.c.account_id).where(factor.c.id == factor_id)
        async with self._database.writing() as connection:
            account_id = (await connection.execute(mine)).scalar()
            if account_id is None:
                return False
            await hold_account(connection, account_id)
            if (await connection.execute(mine.where(factor.c.state == "active"))).first() is None:
                return False
            await put_codes(connection, self._sealer, account_id, codes, self._clock.now())
            await post(connection, self._sealer, self._clock, letter)
            noted(connection, Event("recovery_codes_replaced", account_id))
            return True

    async def remove(
        self, account_id: str, keep: str | None, letter: Letter | None, guard: AccountGuard = unguarded
    ) -> bool:
        at = self._clock.now()
        async with self._database.writing() as connection:
            await hold_account(connection, account_id)
            guard(await require_account(connection, account_id))
            active = and_(factor.c.account_id == account_id, factor.c.state == "active")
            removed = (await connection.execute(delete(factor).where(active))).rowcount == 1
            await connection.execute(delete(factor).where(factor.c.account_id == account_id))
            await connection.execute(delete(recovery_code).where(recovery_code.c.account_id == account_id))
            await changed(connection, account_id)
            await revoke_others(connection, account_id, keep, "second factor removed", at)
            # what is kept proves one factor again
            kept = update(grant_).where(grant_.c.id == keep, grant_.c.account_id == account_id)
            if (await connection.execute(kept.values(aal=1, amr="pwd"))).rowcount:
                await revoked(connection, at, "grant", keep or "")
            await post(connection, self._sealer, self._clock, letter)
            noted(connection, Event("factor_removed", account_id, detail={"was_on": removed}))
            return removed

    def _is(self, stored: bytes, account_id: str, mac: bytes) -> bool:
        return hmac.compare_digest(self._sealer.uncover(stored, recovery_place(account_id)), mac)

    def _factor(self, row: Row[Any]) -> Factor:
        secret = self._sealer.open(row.secret_enc, factor_place(row.id)).decode()
        return Factor(
            row.id, row.account_id, secret, row.state == "active", row.last_step, row.expires_at or 0.0,
            row.confirmed_at,
        )  # fmt: skip


def _row(sealer: Sealer, value: Factor, at: float) -> Values:
    return {
        "id": value.id,
        "account_id": value.account_id,
        "kind": "totp",
        "secret_enc": sealer.seal(value.secret.encode(), factor_place(value.id)),
        "last_step": value.last_step,
        "created_at": at,
    }


async def put_active(connection: AsyncConnection, sealer: Sealer, value: Confirmed, at: float) -> None:
    """Where there is no active one; a pending one goes. The account is held."""
    account_id = value.factor.account_id
    pending = and_(factor.c.account_id == account_id, factor.c.state == "pending")
    await connection.execute(delete(factor).where(pending))
    row = _row(sealer, value.factor, at) | {"state": "active", "confirmed_at": at, "last_step": value.step}
    await connection.execute(insert(factor).values(row))
    await put_codes(connection, sealer, account_id, value.codes, at)


async def put_codes(
    connection: AsyncConnection, sealer: Sealer, account_id: str, codes: Sequence[bytes], at: float
) -> None:
    """In the place of all earlier ones. The account is held."""
    await connection.execute(delete(recovery_code).where(recovery_code.c.account_id == account_id))
    place = recovery_place(account_id)
    rows = [{"account_id": account_id, "mac": sealer.cover(mac, place), "created_at": at} for mac in codes]
    await connection.execute(insert(recovery_code), rows)
