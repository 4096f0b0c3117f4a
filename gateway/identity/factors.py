"""Second factors: enrolment, its end, recovery codes, and what a typed code is worth.

A change keeps the presented grant, raised to aal 2, and revokes all others of the account.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity import codes, totp
from gateway.identity.codes import Pepper
from gateway.identity.letters import Letter
from gateway.identity.model import Account, Confirmed, Enrolment, Factor
from gateway.identity.notices import Notices, written
from gateway.identity.origin import Origin
from gateway.identity.throttle import Throttle

PENDING_SECONDS = 900.0  # that an enrolment may take


class FactorStore(Protocol):
    """Raises as the other stores do (`identity.ports`). keep: the presented grant."""

    async def held(self, account_id: str) -> Enrolment: ...

    async def begin(self, factor: Factor) -> None:
        """Put a pending one in the place of the last. May be "mfa_enabled"."""

    async def confirm(self, factor: Factor, step: int, codes: list[bytes], keep: str, letter: Letter | None) -> bool:
        """Make this very pending one active, with new recovery codes. False when it is not pending any more."""

    async def accept(self, factor_id: str, step: int) -> bool:
        """Whether this step comes after the last accepted one, which it then is. Exactly one of parallel calls wins."""

    async def use_recovery_code(self, account_id: str, mac: bytes, letter: Letter | None) -> bool:
        """Exactly one of parallel calls wins."""

    async def replace_recovery_codes(self, factor_id: str, codes: list[bytes], letter: Letter | None) -> bool:
        """False when the factor is not active any more."""

    async def remove(self, account_id: str, keep: str | None, letter: Letter | None) -> bool:
        """Take factor and recovery codes away. Whether there was an active one."""


class Factors:
    def __init__(
        self, store: FactorStore, throttle: Throttle, pepper: Pepper, notices: Notices, clock: Clock, issuer: str
    ) -> None:
        """issuer: how authenticator apps name us."""
        self._store = store
        self._throttle = throttle
        self._pepper = pepper
        self._notices = notices
        self._clock = clock
        self._issuer = issuer

    async def held(self, account_id: str) -> Enrolment:
        return await self._store.held(account_id)

    async def enable(self, account: Account, *, issuer: str | None = None, holder: str | None = None) -> str:
        """The otpauth URL of a new pending factor. issuer, holder: as of `url`.

        Raises RequestRejected("mfa_enabled").
        """
        now = self._clock.now()
        secret = totp.new_secret(self._clock)
        await self._store.begin(Factor(self._clock.uuid4(), account.id, secret, expires_at=now + PENDING_SECONDS))
        return self.url(account, secret, issuer=issuer, holder=holder)

    def url(self, account: Account, secret: str, issuer: str | None = None, holder: str | None = None) -> str:
        """What an authenticator app reads. issuer, holder: in place of our own name, and of the account's address."""
        owner = account.owner
        return totp.uri(secret, holder or owner.email or owner.username or account.name, issuer or self._issuer)

    async def prove_draft(
        self, account: Account, draft: str, typed: str, origin: Origin, spend: Callable[[], Awaitable[bool]]
    ) -> Confirmed:
        """A factor of a login's own secret, which becomes active with the login's claim. spend: as of `prove`.

        Raises RequestRejected: "mfa_code_wrong", "too_many_attempts", "code_wrong" (no try is left).
        """
        async with await self._throttle.guess(origin, account.id, kind="factor_refused") as ticket:
            if not await spend():
                raise RequestRejected("code_wrong", "Too many wrong codes. Log in again.")
            factor = Factor(self._clock.uuid4(), account.id, draft, active=True)
            step = self._step(factor, typed)
            if step is None:
                raise RequestRejected("mfa_code_wrong")
            await ticket.succeeded()
        fresh = codes.recovery_codes(self._clock)
        return Confirmed(factor, step, tuple(self._macs(account, fresh)), tuple(fresh))

    def draft(self) -> str:
        """A secret that is nobody's yet."""
        return totp.new_secret(self._clock)

    async def enrolled(self, grant_id: str) -> None:
        """The claim of such a login is made."""
        await self._told(grant_id)

    async def confirm(self, account: Account, typed: str, keep: str, origin: Origin) -> list[str]:
        """Ten recovery codes, readable for the only time.

        Raises RequestRejected: "mfa_enabled", "mfa_not_enabled" (nothing is pending), "mfa_code_wrong",
        "too_many_attempts".
        """
        async with await self._throttle.guess(origin, account.id, kind="factor_refused") as ticket:
            held = await self._store.held(account.id)
            pending = held.pending
            if held.active is not None or pending is None or self._clock.now() >= pending.expires_at:
                await ticket.passed()  # nothing was guessed
                raise RequestRejected("mfa_enabled" if held.active is not None else "mfa_not_enabled")
            step = self._step(pending, typed)
            fresh = codes.recovery_codes(self._clock)
            letter = written("mfa_enabled", account, origin, self._clock.now())
            if step is None or not await self._store.confirm(pending, step, self._macs(account, fresh), keep, letter):
                raise RequestRejected("mfa_code_wrong")
            await ticket.succeeded()
        await self._told(keep)
        return fresh

    async def prove(
        self, account: Account, typed: str, origin: Origin, spend: Callable[[], Awaitable[bool]] | None = None
    ) -> str:
        """Spends a code: of the app, or a recovery code. The method for `amr` (RFC 8176): `otp` or `recovery`.

        spend: takes one of the tries of a login, once the limits let this one through. Raises RequestRejected:
        "mfa_not_enabled", "mfa_code_wrong", "too_many_attempts", "code_wrong" (no try is left).
        """
        async with await self._throttle.guess(origin, account.id, kind="factor_refused") as ticket:
            held = await self._store.held(account.id)
            if held.active is None:
                await ticket.passed()  # nothing was guessed
                raise RequestRejected("mfa_not_enabled")
            if spend is not None and not await spend():
                raise RequestRejected("code_wrong", "Too many wrong codes. Log in again.")
            if codes.digits(typed) is not None:
                method, good = "otp", await self._accepts(held.active, typed)
            else:
                method, good = "recovery", await self._spends(account, held, typed, origin)
            if not good:
                raise RequestRejected("mfa_code_wrong")
            await ticket.succeeded()
            return method

    async def disable(self, account: Account, typed: str, keep: str, origin: Origin) -> None:
        """Raises as `prove`."""
        await self.prove(account, typed, origin)
        await self._store.remove(account.id, keep, written("mfa_disabled", account, origin, self._clock.now()))
        await self._told(keep)

    async def reset(self, account: Account, keep: str, origin: Origin) -> None:
        """Off, without a code: who calls this has found another reason. An account without a factor stays as it is."""
        if (await self._store.held(account.id)).active is None:
            return
        await self._store.remove(account.id, keep, written("mfa_disabled", account, origin, self._clock.now()))
        await self._told(keep)

    async def new_recovery_codes(self, account: Account, typed: str, origin: Origin) -> list[str]:
        """Ten new ones; the old ones are void. A recovery code does not do: it would beget ten others.

        Raises as `prove`.
        """
        if codes.digits(typed) is None:
            raise RequestRejected("mfa_code_wrong", "A code of the app is needed.")
        await self.prove(account, typed, origin)
        held = await self._store.held(account.id)
        fresh = codes.recovery_codes(self._clock)
        letter = written("recovery_codes_replaced", account, origin, self._clock.now())
        factor = held.active
        if factor is None or not await self._store.replace_recovery_codes(
            factor.id, self._macs(account, fresh), letter
        ):
            raise RequestRejected("mfa_not_enabled")
        return fresh

    def _step(self, factor: Factor, typed: str) -> int | None:
        code = codes.digits(typed)
        return None if code is None else totp.matching_step(factor.secret, code, self._clock.now())

    async def _accepts(self, factor: Factor, typed: str) -> bool:
        step = self._step(factor, typed)
        return step is not None and await self._store.accept(factor.id, step)

    async def _spends(self, account: Account, held: Enrolment, typed: str, origin: Origin) -> bool:
        mac = codes.recovery_mac(self._pepper, account.id, typed)
        left = str(max(held.recovery_codes - 1, 0))
        letter = written("recovery_code_used", account, origin, self._clock.now(), left=left)
        return mac is not None and await self._store.use_recovery_code(account.id, mac, letter)

    def _macs(self, account: Account, fresh: list[str]) -> list[bytes]:
        macs = [codes.recovery_mac(self._pepper, account.id, code) for code in fresh]
        return [mac for mac in macs if mac is not None]

    async def _told(self, keep: str) -> None:
        await self._notices.changed(keep)
        self._notices.posted()
