"""Logins: magic link, code, password, second factor. Who asks in vain is told nothing more than who does not exist.

Every way in ends in `_enter`: with a second factor on, the grant it makes is restricted, and nothing but
`second_factor` takes it.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity import addresses, codes
from gateway.identity.audit import Kind
from gateway.identity.authority import entitled
from gateway.identity.challenge import TRIES, Challenge, ChallengeStore, Purpose
from gateway.identity.codes import Pepper
from gateway.identity.factors import Factors
from gateway.identity.letters import Letter, LetterKind
from gateway.identity.model import Account, Grant, Invitation, Issue, Member, Owner, Principal
from gateway.identity.notices import Notices, minute, stamp, written
from gateway.identity.origin import Origin, platform
from gateway.identity.passwords import Passwords
from gateway.identity.people import NOBODY, People, check_password, require_factor
from gateway.identity.sessions import Session, Sessions
from gateway.identity.throttle import Throttle
from gateway.identity.weak import context_of, of_address

STRANGERS_SPARE = 2  # of five tries


@dataclass(frozen=True, slots=True)
class Policy:
    """lifetime: seconds of a link and of a code, shown and enforced. provision: accounts come with their first login.

    link: the URL that a mail opens, with `{token}` in it.
    """

    link: str
    lifetime: float = 900.0
    provision: bool = False


class Guests(Protocol):
    """Who is invited (`identity.invitations`)."""

    async def invited(self, address_key: str, entitled: Callable[[Member, Invitation], bool]) -> bool:
        """Whether an invitation waits for the address. Raises DependencyFailed."""


@dataclass(frozen=True, slots=True)
class LinkView:
    """What a link's page may tell before anybody has pressed anything."""

    address: str
    when: str
    platform: str
    ip: str
    minutes: int


class Logins:
    def __init__(
        self,
        challenges: ChallengeStore,
        people: People,
        factors: Factors,
        sessions: Sessions,
        passwords: Passwords,
        throttle: Throttle,
        pepper: Pepper,
        notices: Notices,
        clock: Clock,
        policy: Policy,
        guests: Guests | None = None,
    ) -> None:
        """guests: None where nobody is invited."""
        self._challenges = challenges
        self._people = people
        self._factors = factors
        self._sessions = sessions
        self._passwords = passwords
        self._throttle = throttle
        self._pepper = pepper
        self._notices = notices
        self._clock = clock
        self._policy = policy
        self._guests = guests

    # by mail

    async def request_link(self, typed: str, origin: Origin) -> None:
        """A mail with a link, if somebody has the address; the same work if nobody has.

        Raises RequestRejected: "invalid_value" (no address), "too_many_attempts".
        """
        token = codes.link_token(self._clock)
        link = self._policy.link.replace("{token}", token)
        code = codes.code_of_link(token, self._pepper)
        await self._write_to(typed, "login", "magic_link", code, {"link": link}, codes.link_digest(token), origin)

    async def missed_link(self, origin: Origin) -> None:
        """Counts the opening of a link that is of no use, as any vain attempt. Raises "too_many_attempts"."""
        async with await self._throttle.guess(origin, None):
            self._throttle.refused("login_refused", "code_wrong")

    async def view_link(self, token: str) -> LinkView | None:
        """What its page shows. Changes nothing, as mail scanners open links too. None: it is of no use any more."""
        challenge = await self._live_link(token)
        return None if challenge is None else self._view(challenge)

    async def show_code(self, token: str) -> tuple[LinkView, str] | None:
        """The code, once somebody has pressed the button of the page."""
        challenge = await self._live_link(token)
        if challenge is None or not await self._challenges.show(challenge.id):
            return None
        return self._view(challenge), codes.code_of_link(token, self._pepper)

    async def claim_link(self, token: str, origin: Origin) -> Session:
        """Raises RequestRejected: "code_wrong", "too_many_attempts"."""
        async with await self._throttle.guess(origin, None) as ticket:
            challenge = await self._live_link(token)
            if challenge is None:
                raise RequestRejected("code_wrong")
            session = await self._claim(challenge, "email", origin)
            await ticket.passed()
            return await self._entered(session, origin)

    async def claim_code(self, typed: str, code: str, origin: Origin) -> Session:
        """By address and code. Raises RequestRejected: "invalid_value", "code_wrong", "too_many_attempts"."""
        challenge = await self._guessed("login", typed, code, origin)
        with self._throttle.watching("login_refused", challenge.account_id):
            session = await self._claim(challenge, "email", origin)
        return await self._entered(session, origin)

    # by password

    async def password(self, typed: str, password: str, origin: Origin) -> Session:
        """Raises RequestRejected: "invalid_value", "code_wrong" (address or password), "too_many_attempts"."""
        address = addresses.address(typed)
        account = await self._people.by_email(address.key)
        async with await self._throttle.guess(origin, account.id if account else None, address.key) as ticket:
            live = account if account is not None and account.is_live else None  # a dead one is nobody's
            good = await check_password(self._people, self._passwords, live, password)
            if not good or account is None:
                raise RequestRejected("code_wrong", "The address or the password is wrong.")
            challenge = self._challenge("login", origin, account=account)
            await self._challenges.begin(challenge, None, None)
            session = await self._enter(challenge, account, "pwd", origin)
            # half a login clears nothing: a stolen password must not buy new guesses at the second factor
            await (ticket.passed() if session.grant.restricted else ticket.succeeded())
            return session

    async def request_reset(self, typed: str, origin: Origin) -> None:
        """A mail with a code, if somebody has the address. Raises as `request_link`."""
        await self._write_to(
            typed, "reset_password", "password_reset", codes.random_code(self._clock), {}, None, origin
        )

    async def reset_password(self, typed: str, code: str, password: str, origin: Origin) -> None:
        """A new password; all sessions end. The second factor stays on. Raises as `claim_code`, and "invalid_value"."""
        self._passwords.check(password, of_address(typed))  # what is wrong with it costs no try
        challenge = await self._guessed("reset_password", typed, code, origin)
        if challenge.account_id is None:
            raise RequestRejected("code_wrong")
        account = await self._people.account(challenge.account_id)
        # not before: whoever has no code shall neither keep the threads busy nor try names out
        phc = await self._passwords.hash(password, context_of(account))
        letter = written("password_changed", account, origin, self._clock.now())
        try:
            done = await self._challenges.reset_password(challenge.id, account.id, phc, letter)
        except RequestRejected as fault:  # the account went meanwhile
            raise RequestRejected("code_wrong") from fault
        if not done:
            raise RequestRejected("code_wrong")
        await self._notices.changed(None)

    async def change_password(self, caller: Principal, current: str, new: str, origin: Origin) -> None:
        """All other grants end. Raises RequestRejected: "code_wrong" (the current one), "invalid_value"."""
        account = _account(caller)
        await self.prove_password(account, current, origin)
        phc = await self._passwords.hash(new, context_of(account))
        letter = written("password_changed", account, origin, self._clock.now())
        await self._people.set_password(account.id, phc, caller.grant_id, letter)
        await self._notices.changed(caller.grant_id)

    async def prove_password(self, account: Account, password: str, origin: Origin) -> None:
        """Of somebody who is logged in. Raises RequestRejected: "code_wrong", "too_many_attempts"."""
        async with await self._throttle.guess(origin, account.id, kind="password_refused") as ticket:
            if not await check_password(self._people, self._passwords, account, password):
                raise RequestRejected("code_wrong", "The current password is wrong.")
            await ticket.passed()

    # the second factor

    async def second_factor(self, caller: Principal, typed: str, origin: Origin) -> Session:
        """Lifts the caller's restricted grant, whose token then passes everywhere, and hands out a fresh token of it.

        Raises RequestRejected: "mfa_not_enabled", "mfa_code_wrong", "too_many_attempts", "code_wrong" (too many tries).
        """
        account, grant_id = _account(caller), caller.grant_id
        challenge = await self._challenges.by_grant(grant_id) if grant_id is not None else None
        if challenge is None or grant_id is None:
            raise RequestRejected("mfa_not_enabled", "This session does not wait for a second factor.")
        begun = await self._sessions.minting(account)  # no code is spent for a token that cannot be made
        method = await self._factors.prove(account, typed, origin, lambda: self._challenges.spend_try(challenge.id))
        now = self._clock.now()
        expires_at = now + self._sessions.terms.lifetime
        try:
            lifted = await self._challenges.lift(challenge.id, grant_id, expires_at, method)
        except RequestRejected as fault:  # the account went meanwhile
            raise RequestRejected("code_wrong") from fault
        if not lifted:
            raise RequestRejected("code_wrong", "Log in again.")
        await self._notices.changed(grant_id)
        return await begun(Grant(grant_id, account.id, "session", "jwt", now, expires_at, aal=2, amr=(method,)))

    # what they share

    async def _write_to(
        self,
        typed: str,
        purpose: Purpose,
        kind: LetterKind,
        code: str,
        values: Mapping[str, str],
        link: bytes | None,
        origin: Origin,
    ) -> None:
        address = addresses.address(typed)
        account = await self._people.by_email(address.key)
        dead = account is not None and not account.is_live
        welcome = purpose == "login" and await self._welcomes(address.key)  # asked of everybody: it takes its time
        known = not dead and (account is not None or welcome)
        await self._throttle.mail(origin, address.key, account.id if account and not dead else None, sent=known)
        account = None if dead else account
        to = account.owner.email if account is not None else address.text
        challenge = self._challenge(purpose, origin, account=account, address=address, known=known, code=code)
        minutes = str(round(self._policy.lifetime / 60))
        told = {**stamp(origin, challenge.created_at), **values, "minutes": minutes}
        if link is None:
            told["code"] = code
        await self._challenges.begin(challenge, link, Letter(kind, to, told, decoy=not known))
        self._notices.posted()

    def _challenge(
        self,
        purpose: Purpose,
        origin: Origin,
        *,
        account: Account | None = None,
        address: addresses.Address | None = None,
        known: bool = True,
        code: str | None = None,
    ) -> Challenge:
        now, challenge_id = self._clock.now(), self._clock.uuid4()
        return Challenge(
            id=challenge_id,
            purpose=purpose,
            created_at=now,
            expires_at=now + self._policy.lifetime,
            account_id=account.id if account else None,
            address=address.text if address and known else None,
            address_key=address.key if address else None,
            tries_left=TRIES,
            code_mac=codes.code_mac(self._pepper, challenge_id, code) if code is not None else None,
            ip=origin.address,
            user_agent=origin.agent,
        )

    async def _live_link(self, token: str) -> Challenge | None:
        digest = codes.link_digest(token)
        challenge = await self._challenges.by_link(digest) if digest is not None else None
        if challenge is None or challenge.purpose != "login" or not challenge.is_live(self._clock.now()):
            return None
        return challenge

    def _view(self, challenge: Challenge) -> LinkView:
        left = max(1, round((challenge.expires_at - self._clock.now()) / 60))
        agent = challenge.user_agent or ""
        where = challenge.ip or ""
        return LinkView(challenge.address or "", minute(challenge.created_at), platform(agent), where, left)

    async def _guessed(self, purpose: Purpose, typed: str, code: str, origin: Origin) -> Challenge:
        """The live challenge whose code this is. A try is spent before it is compared."""
        address = addresses.address(typed)
        account = await self._people.by_email(address.key)
        kind: Kind = "login_refused" if purpose == "login" else "reset_refused"
        guess = self._throttle.guess(origin, account.id if account else None, address.key, kind=kind)
        async with await guess as ticket:
            challenge = await self._challenges.by_address(purpose, address.key)
            digits = codes.digits(code)
            # the same calls for an address that nobody has
            challenge_id = challenge.id if challenge is not None else NOBODY
            spent = await self._challenges.spend_try(challenge_id, spare=_spare(challenge, origin))
            mac = codes.code_mac(self._pepper, challenge_id, digits or "")
            expected = (challenge.code_mac if challenge is not None else None) or bytes(32)
            if not hmac.compare_digest(mac, expected) or not spent or challenge is None or digits is None:
                raise RequestRejected("code_wrong")
            await ticket.passed()
            return challenge

    async def _entered(self, session: Session, origin: Origin) -> Session:
        """A whole login makes its network known, so that strangers' failures do not hold its holder up."""
        if not session.grant.restricted:
            await self._throttle.entered(origin, session.account.id)
        return session

    async def _claim(self, challenge: Challenge, method: str, origin: Origin) -> Session:
        account = await self._account_of(challenge, origin)
        if account is None or not account.is_live:
            raise RequestRejected("code_wrong")
        return await self._enter(challenge, account, method, origin)

    async def _account_of(self, challenge: Challenge, origin: Origin) -> Account | None:
        """Of a first login, a new one: who claims has proved that the address is theirs."""
        if challenge.account_id is not None:
            return await self._people.account(challenge.account_id)
        address, key = challenge.address, challenge.address_key
        if address is None or key is None:
            return None
        found = await self._people.by_email(key)
        if found is not None or not await self._welcomes(key):
            return found
        await self._throttle.registration(origin)
        account = Account(self._clock.uuid4(), address, Owner(self._clock.uuid4(), address))
        try:
            await self._people.add_account(account, key, provisioned=True)
        except RequestRejected:  # another claim was faster
            return await self._people.by_email(key)
        return account

    async def _welcomes(self, address_key: str) -> bool:
        """Whether an account comes with the first login of this address: everybody's, or that of who is invited."""
        if self._policy.provision:
            return True
        return self._guests is not None and await self._guests.invited(address_key, entitled)

    async def _enter(self, challenge: Challenge, account: Account, method: str, origin: Origin) -> Session:
        """One grant, restricted where a second factor is on. Raises RequestRejected("code_wrong") for the second
        claim."""
        pending = (await self._factors.held(account.id)).active is not None
        require_factor(account, pending)
        now, terms = self._clock.now(), self._sessions.terms
        expires_at = now + (terms.restricted if pending else terms.lifetime)
        grant = Grant(
            self._clock.uuid4(), account.id, "session", "jwt", now, expires_at,
            name=origin.platform, dialect=challenge.dialect, amr=(method,), restricted=pending,
        )  # fmt: skip
        step_up = Challenge(
            self._clock.uuid4(), "step_up", now, expires_at, account_id=account.id, grant_id=grant.id,
            ip=origin.address, user_agent=origin.agent,
        )  # fmt: skip
        issue = Issue(grant, ip=origin.address, user_agent=origin.agent)
        begun = await self._sessions.minting(account)
        try:
            claimed = await self._challenges.claim(challenge.id, issue, account.epoch, step_up if pending else None)
        except RequestRejected as fault:  # the account went meanwhile
            raise RequestRejected("code_wrong") from fault
        if not claimed:
            raise RequestRejected("code_wrong")
        return await begun(grant)


def _spare(challenge: Challenge | None, origin: Origin) -> int:
    """Tries that are kept for whoever asked for the code: a stranger must not use them all up."""
    asked = "" if challenge is None else Origin(challenge.ip or "").network
    return 0 if asked == origin.network else STRANGERS_SPARE


def _account(caller: Principal) -> Account:
    if caller.account is None:
        raise RequestRejected("no_account")
    return caller.account
