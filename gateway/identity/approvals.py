"""Logins that whoever reads the account's mail approves. The client that began one polls with its token, and claims
the session once; the mail's link leads to a page, whose buttons decide.

A wrong pair of name and address begins a decoy: the same work, and no mail.
"""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from gateway.errors import RequestRejected
from gateway.identity import addresses, codes
from gateway.identity.challenge import Challenge, Purpose
from gateway.identity.letters import Letter
from gateway.identity.model import Account
from gateway.identity.new_emails import NewEmails
from gateway.identity.notices import minute, stamp, written
from gateway.identity.origin import Origin
from gateway.identity.people import NOBODY
from gateway.identity.services import Services
from gateway.identity.steps import Entered, Form, client_digest, handle

APPROVAL_SECONDS = 900.0
MAX_PLATFORM = 64  # characters

Outcome = Literal["approved", "confirmed", "denied", "gone"]
"""confirmed: an address is the account's now. gone: the link is of no use, for whatever reason."""

_STEERING = re.compile(r"[^\w ()+-]+")


@dataclass(frozen=True, slots=True)
class Started:
    """auth_id: for the poll, readable for the only time. expires_at: seconds since the epoch."""

    auth_id: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True, slots=True)
class Asked:
    """What a link's page tells. purpose: approval or new_email. address: whole. when: for people. minutes: left.

    platform, ip: of whoever asked. needs_code: a second factor is on. elsewhere: asked from another network than the
    page was opened on.
    """

    purpose: Purpose
    username: str
    address: str
    when: str
    platform: str
    ip: str
    minutes: int
    needs_code: bool
    elsewhere: bool


class Approvals:
    """page: the URL that a link's token is put behind."""

    def __init__(self, services: Services, emails: NewEmails, form: Form, page: str) -> None:
        self._core = services
        self._emails = emails
        self._form = form
        self._page = page

    async def begin(self, username: str, typed: str, platform: str, origin: Origin) -> Started:
        """Mails a link to the account that has this name and this proven address; a newer login ends an older one.

        Raises RequestRejected: "invalid_value" (no address, no platform), "too_many_attempts".
        """
        platform, address, name = require_platform(platform), addresses.address(typed), handle(username, "username")
        pair = f"{name} {address.key}"
        account = _named(await self._core.people.by_email(address.key), name)
        # by the pair: a stranger who knows an address alone does not use up its owner's mails
        await self._core.throttle.mail(origin, pair, account.id if account else None, sent=account is not None)
        on = (await self._core.factors.held(account.id if account else NOBODY)).active is not None
        now, link, auth_id = self._core.clock.now(), codes.link_token(self._core.clock), self._core.clock.uuid4()
        challenge = Challenge(
            self._core.clock.uuid4(), "approval", now, now + APPROVAL_SECONDS, self._form.dialect,
            account_id=account.id if account else None, address=account.owner.email if account else None,
            address_key=account.id if account else pair, ip=origin.address, user_agent=origin.agent,
            epoch=account.epoch if account else 0, needs_code=on, platform=platform,
        )  # fmt: skip
        told = {**stamp(origin, now), "platform": unlinked(platform), "link": f"{self._page}{link}"}
        told["minutes"] = str(round(APPROVAL_SECONDS / 60))
        to = account.owner.email if account else address.text
        letter = Letter("login_approval", to, told, decoy=account is None)
        client = client_digest(self._form.dialect, auth_id)
        await self._core.challenges.begin(challenge, codes.link_digest(link), letter, client)
        self._core.notices.posted()
        return Started(auth_id, challenge.expires_at)

    async def claim(self, auth_id: str, origin: Origin) -> Entered:
        """The session, to the first poll after the approval. Raises RequestRejected: "code_wrong" for all that is not
        approved, "too_many_attempts"."""
        client = client_digest(self._form.dialect, auth_id)
        await self._core.throttle.poll(client)
        found = await self._core.challenges.by_client(client)
        # not `_lives`: the right code may have been the last try
        live = found is not None and found.is_live(self._core.clock.now())
        if found is None or not live or found.purpose != "approval" or found.state != "approved":
            raise RequestRejected("code_wrong")
        methods = ("email",) if found.method is None else ("email", found.method)
        entered = await self._core.steps.claim(found, methods, origin, self._form)
        await self._core.throttle.entered(origin, entered.account.id)
        return entered

    async def view(self, link: str, origin: Origin) -> Asked | None:
        """Changes nothing: mail scanners open links too. origin: of whoever opens it. None: it is of no use."""
        found = await self._undecided(link)
        if found is None:
            return None
        challenge, account = found
        left = max(1, round((challenge.expires_at - self._core.clock.now()) / 60))
        asked = Origin(challenge.ip or "")
        return Asked(
            challenge.purpose, account.owner.username or account.name, challenge.address or "",
            minute(challenge.created_at), challenge.platform, asked.address, left, challenge.needs_code,
            asked.network != origin.network,
        )  # fmt: skip

    async def approve(self, link: str, code: str, origin: Origin) -> Outcome:
        """code: of the second factor, or a recovery code; not looked at where none is on.

        Raises RequestRejected: "mfa_code_wrong" (a try is spent), "too_many_attempts", "conflict" (the address is
        another account's).
        """
        found = await self._undecided(link)
        if found is None:
            return "gone"
        challenge, account = found
        try:
            method = await self._prove(challenge, account, code, origin)
        except RequestRejected as fault:
            if fault.code in ("code_wrong", "mfa_not_enabled"):  # no try is left; the factor went meanwhile
                return "gone"
            raise
        if challenge.purpose == "new_email":
            return "confirmed" if await self._emails.take(challenge, account, origin) else "gone"
        return "approved" if await self._core.challenges.decide(challenge.id, True, method) else "gone"

    async def deny(self, link: str) -> Outcome:
        """Void from now on; of a login the account is told.

        That mail counts for no limit: there is one at most for each that brought a link, and those are counted.
        """
        found = await self._undecided(link)
        if found is None:
            return "gone"
        challenge, account = found
        letter = _denied(challenge, account) if challenge.purpose == "approval" else None
        if not await self._core.challenges.decide(challenge.id, False, letter=letter):
            return "gone"
        self._core.notices.posted()
        return "denied"

    async def _prove(self, challenge: Challenge, account: Account, code: str, origin: Origin) -> str | None:
        """The method of the second factor; None where none is needed."""
        if not challenge.needs_code:
            return None
        if not code.strip():
            raise RequestRejected("mfa_code_wrong")  # a button pressed too early costs no try
        spend = partial(self._core.challenges.spend_try, challenge.id)
        return await self._core.factors.prove(account, code, origin, spend)

    async def _undecided(self, link: str) -> tuple[Challenge, Account] | None:
        """What may still be decided, with the account as it was when it was asked."""
        digest = codes.link_digest(link)
        found = await self._core.challenges.by_link(digest) if digest is not None else None
        if found is None or found.purpose not in ("approval", "new_email") or found.account_id is None:
            return None
        if found.dialect != self._form.dialect or found.state == "approved" or not self._lives(found):
            return None
        account = await self._core.people.account(found.account_id)
        return (found, account) if account.is_live and account.epoch == found.epoch else None

    def _lives(self, challenge: Challenge) -> bool:
        return challenge.is_live(self._core.clock.now()) and challenge.tries_left > 0


def require_platform(text: str) -> str:
    """What a client calls itself. Raises RequestRejected("invalid_value")."""
    if not 1 <= len(text) <= MAX_PLATFORM or not text.isprintable() or not text.strip():
        raise RequestRejected("invalid_value", f"session_platform has 1 to {MAX_PLATFORM} printable characters")
    return text


def unlinked(platform: str) -> str:
    """For a mail: anybody chooses these words, and mail programs make links of whatever looks like a host's name."""
    return _STEERING.sub(" ", platform).strip()


def _denied(challenge: Challenge, account: Account) -> Letter | None:
    """Of whoever asked, as the mail before it: who pressed the button holds the mail."""
    asked, platform = Origin(challenge.ip or ""), unlinked(challenge.platform)
    return written("login_denied", account, asked, challenge.created_at, platform=platform)


def _named(account: Account | None, name: str) -> Account | None:
    """The account, if it has this name too, and is one to log in to."""
    if account is None or not account.is_live or not account.owner.email or not name:
        return None
    return account if handle(account.owner.username or "", "username") == name else None
