"""Logins in two calls: a password, and then, where a second factor is on, its code. A token that the client holds ties
them together; it is good for the second call alone, of the same dialect, once.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, Protocol

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity import addresses, codes
from gateway.identity.challenge import TRIES, Challenge, ChallengeStore
from gateway.identity.factors import Factors
from gateway.identity.grants import secret_digest
from gateway.identity.model import Account, Grant, Issue, Presentation
from gateway.identity.notices import Notices, written
from gateway.identity.origin import Origin
from gateway.identity.passwords import Passwords
from gateway.identity.people import NOBODY, People, check_password, require_factor
from gateway.identity.throttle import Throttle

STEP_SECONDS = 300.0  # between the two calls
SHOWN = 8  # characters of an opaque secret that lists show


class Mint(Protocol):
    """Makes JWTs of sessions. In two steps: when a challenge is claimed or a session renewed, nothing may fail any
    more, or the old token would be gone and no new one there."""

    async def prepare(self, account: Account) -> Callable[[Grant], Awaitable[str]]:
        """All that may fail. Raises DependencyFailed, and RequestRejected("not_found") if the account went."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a dialect presents its sessions. secret: makes an opaque one; None for a JWT, which `Steps` mints.

    lifetime, idle: seconds; idle without use ends it too. single: a new session ends the account's others of the
    dialect.
    """

    dialect: str
    lifetime: float
    secret: Callable[[Clock], str] | None
    idle: float | None = None
    single: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """A right password. token: for the second call, readable for the only time. factor_on: a second one is active.

    draft: the TOTP secret that the second call must prove, of an account that has to have a factor and has none.
    """

    account: Account
    factor_on: bool
    token: str = field(repr=False)
    draft: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Entered:
    """What a login ends in. secret: readable for the only time. recovery_codes: where it enrolled a factor."""

    account: Account
    grant: Grant
    secret: str = field(repr=False)
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class _Session:
    """One to come. secret: an opaque one; None for a JWT. told: what its holder gets, once there is a grant."""

    account: Account
    form: Form
    secret: str | None = field(repr=False)
    told: Callable[[Grant], Awaitable[str]]


class Steps:
    """mint: the JWT of a form that has no secret."""

    def __init__(
        self,
        challenges: ChallengeStore,
        people: People,
        factors: Factors,
        passwords: Passwords,
        throttle: Throttle,
        notices: Notices,
        clock: Clock,
        mint: Mint | None = None,
    ) -> None:
        self._challenges = challenges
        self._people = people
        self._factors = factors
        self._passwords = passwords
        self._throttle = throttle
        self._notices = notices
        self._clock = clock
        self._mint = mint

    async def begin(
        self,
        typed: str,
        by: Literal["email", "username"],
        password: str,
        origin: Origin,
        dialect: str,
        *,
        platform: str = "",
        draft: str | None = None,
        newest: bool = False,
    ) -> Begun:
        """Raises RequestRejected: "code_wrong" (somebody else's name, or a wrong password), "too_many_attempts".

        draft: a TOTP secret that this login enrols, where the account must have one (`mfa_policy`) and has none.
        newest: the account's earlier ones of this dialect, which wait for their second call, end.
        """
        key = handle(typed, by)
        account = await (self._people.by_email(key) if by == "email" else self._people.by_username(key))
        async with await self._throttle.guess(origin, account.id if account else None, key) as ticket:
            good = await check_password(self._people, self._passwords, account, password)
            if not good or account is None or not account.is_live:
                raise RequestRejected("code_wrong", "The name or the password is wrong.")
            on = (await self._factors.held(account.id)).active is not None
            if on or account.mfa_policy != "required":
                draft = None
            if draft is None and account.mfa_policy == "required" and not on:
                await ticket.passed()  # the password was right
                require_factor(account, on)
            token = codes.link_token(self._clock)
            challenge = self._challenge(account, origin, dialect, platform, on or draft is not None, draft)
            if newest:
                challenge = replace(challenge, address_key=f"{dialect}:{account.id}")  # no address: those have an @
            await self._challenges.begin(challenge, None, None, client_digest(dialect, token))
            await (ticket.passed() if challenge.needs_code else ticket.succeeded())
            return Begun(account, on, token, draft)

    async def finish(self, token: str, code: str | None, origin: Origin, form: Form) -> Entered:
        """The session of a login that was begun. code: of the app, or a recovery code; not looked at where none is
        needed.

        Raises RequestRejected: "code_wrong" (the token is of no use), "mfa_required" (a code is), "mfa_code_wrong",
        "too_many_attempts".
        """
        return await self._finish(await self._begun(token, form), code, origin, form)

    async def finish_own(self, account: Account | None, token: str, code: str, origin: Origin, form: Form) -> Entered:
        """The same, of this very account's login, and where a code is needed. None: of nobody's. Raises as `finish`."""
        challenge = await self._begun(token, form)
        if account is None or challenge.account_id != account.id or not challenge.needs_code:
            raise self._useless(account)
        return await self._finish(challenge, code, origin, form)

    async def finish_here(self, account: Account | None, code: str, origin: Origin, form: Form) -> Entered:
        """The same without the token: for the newest login that this very client began. Raises as `finish`."""
        holder = NOBODY if account is None else account.id  # the same work for somebody who has begun none
        challenge = await self._challenges.begun_by(holder, form.dialect, origin.address, origin.agent)
        if challenge is None:
            raise self._useless(account)
        return await self._finish(challenge, code, origin, form)

    async def handed(self, account: Account, origin: Origin, form: Form, *, platform: str = "") -> Entered:
        """A session at once, for somebody who has just proved who they are in another way."""
        challenge = self._challenge(account, origin, form.dialect, platform, False, None)
        await self._challenges.begin(challenge, None, None)
        return await self._claim(challenge, (), 1, origin, await self._session(account, form))

    async def first(self, account: Account, origin: Origin, form: Form, *, platform: str) -> tuple[Issue, Entered]:
        """The session of an account that is not there yet: good once the two are stored, together.

        form: of opaque sessions; a JWT is minted for an account that is there.
        """
        session = await self._session(account, form)
        issue = self._issue(platform, (), 1, origin, session)
        return issue, Entered(account, issue.grant, await session.told(issue.grant))

    async def claim(self, challenge: Challenge, methods: tuple[str, ...], origin: Origin, form: Form) -> Entered:
        """The session of a challenge that was approved. Raises RequestRejected("code_wrong")."""
        session = await self._session(await self._holder(challenge), form)
        return await self._claim(challenge, methods, 2 if len(methods) > 1 else 1, origin, session)

    async def minting(self, account: Account) -> Callable[[Grant], Awaitable[str]]:
        """Makes the JWT of a session, of a form that has no secret; to be had before anything is ended for it.

        Raises RequestRejected("code_wrong") if the account went.
        """
        assert self._mint is not None
        try:
            return await self._mint.prepare(account)
        except RequestRejected as fault:
            raise RequestRejected("code_wrong") from fault

    async def _begun(self, token: str, form: Form) -> Challenge:
        challenge = await self._challenges.by_client(client_digest(form.dialect, token))
        if challenge is None or challenge.dialect != form.dialect or not challenge.is_live(self._clock.now()):
            raise self._useless(None)
        return challenge

    def _useless(self, account: Account | None) -> RequestRejected:
        """A second call that follows no first one."""
        self._throttle.refused("login_refused", "code_wrong", None if account is None else account.id)
        return RequestRejected("code_wrong")

    async def _holder(self, challenge: Challenge) -> Account:
        try:
            return await self._people.account(challenge.account_id or NOBODY)
        except RequestRejected as fault:  # "not_found" would tell that there was one
            raise RequestRejected("code_wrong") from fault

    async def _finish(self, challenge: Challenge, code: str | None, origin: Origin, form: Form) -> Entered:
        account = await self._holder(challenge)
        session = await self._session(account, form)  # no code is spent for a token that cannot be made
        if not challenge.needs_code:
            return await self._claim(challenge, ("pwd",), 1, origin, session)
        if code is None:
            raise RequestRejected("mfa_required")
        if challenge.draft is not None:
            return await self._enrol(challenge, challenge.draft, code, origin, session)
        method = await self._factors.prove(account, code, origin, lambda: self._challenges.spend_try(challenge.id))
        return await self._claim(challenge, ("pwd", method), 2, origin, session)

    async def _claim(
        self, challenge: Challenge, methods: tuple[str, ...], aal: int, origin: Origin, to: _Session
    ) -> Entered:
        issue = self._issue(challenge.platform, methods, aal, origin, to)
        claiming = self._challenges.claim(challenge.id, issue, challenge.epoch, None, single=to.form.single)
        entered = await _entered(claiming, to, issue.grant)
        if to.form.single:
            await self._notices.changed(None)  # the others have ended
        return entered

    async def _enrol(self, challenge: Challenge, draft: str, code: str, origin: Origin, to: _Session) -> Entered:
        """The session, and the factor that it was begun with becomes the account's: both or neither."""
        spend = partial(self._challenges.spend_try, challenge.id)
        factor = await self._factors.prove_draft(to.account, draft, code, origin, spend)
        issue = self._issue(challenge.platform, ("pwd", "otp"), 2, origin, to)
        letter = written("mfa_enabled", to.account, origin, self._clock.now())
        claiming = self._challenges.claim_enrolling(challenge.id, issue, challenge.epoch, factor, letter)
        entered = await _entered(claiming, to, issue.grant)
        await self._factors.enrolled(issue.grant.id)
        return replace(entered, recovery_codes=factor.shown)

    async def _session(self, account: Account, form: Form) -> _Session:
        if form.secret is None:
            return _Session(account, form, None, await self.minting(account))
        secret = form.secret(self._clock)

        async def told(_: Grant) -> str:
            return secret

        return _Session(account, form, secret, told)

    def _issue(self, platform: str, methods: tuple[str, ...], aal: int, origin: Origin, to: _Session) -> Issue:
        now, form, secret = self._clock.now(), to.form, to.secret
        shape: Presentation = "jwt" if secret is None else "opaque"
        grant = Grant(
            self._clock.uuid4(), to.account.id, "session", shape, now, now + form.lifetime,
            name=platform or origin.platform, dialect=form.dialect, aal=aal, amr=methods, idle=form.idle,
        )  # fmt: skip
        digest = secret_digest("opaque", secret.encode()) if secret is not None else None
        shown = "" if secret is None else secret[:SHOWN]
        return Issue(grant, digest=digest, prefix=shown, ip=origin.address, user_agent=origin.agent)

    def _challenge(
        self, account: Account, origin: Origin, dialect: str, platform: str, needs_code: bool, draft: str | None
    ) -> Challenge:
        now = self._clock.now()
        return Challenge(
            self._clock.uuid4(), "login", now, now + STEP_SECONDS, dialect, account_id=account.id, tries_left=TRIES,
            ip=origin.address, user_agent=origin.agent, epoch=account.epoch, needs_code=needs_code,
            draft=draft, platform=platform,
        )  # fmt: skip


async def _entered(claiming: Awaitable[bool], to: _Session, grant: Grant) -> Entered:
    try:
        claimed = await claiming
    except RequestRejected as fault:  # the account went meanwhile
        raise RequestRejected("code_wrong") from fault
    if not claimed:
        raise RequestRejected("code_wrong")
    return Entered(to.account, grant, await to.told(grant))


def handle(typed: str, by: Literal["email", "username"]) -> str:
    """The key to look somebody up by. What cannot be one is nobody's: it is no different answer."""
    try:
        return addresses.address(typed).key if by == "email" else addresses.username(typed)[1]
    except RequestRejected:
        return ""


def client_digest(dialect: str, token: str) -> bytes:
    """What is stored of a client's token: another dialect's is another."""
    return hashlib.sha256(f"gateway.client.{dialect}\0{token}".encode("utf-8", "surrogatepass")).digest()
