"""Accounts that people make for themselves: a name, and nothing to prove."""

import re

from gateway.errors import RequestRejected
from gateway.identity import addresses
from gateway.identity.approvals import require_platform
from gateway.identity.model import Account, Owner
from gateway.identity.new_emails import NewEmails
from gateway.identity.origin import Origin
from gateway.identity.services import Services
from gateway.identity.steps import Entered, Form

_USERNAME = re.compile(r"[A-Za-z0-9_.-]{3,32}")


class Registrations:
    def __init__(self, services: Services, emails: NewEmails, form: Form) -> None:
        self._core = services
        self._emails = emails
        self._form = form

    async def register(self, username: str, typed: str | None, platform: str, origin: Origin) -> Entered:
        """A new account's first session. The address is asked to confirm, and is not the account's until it has.

        Raises RequestRejected: "invalid_value", "conflict" (the name is taken), "too_many_attempts", "forbidden".
        """
        if not _USERNAME.fullmatch(username):
            raise RequestRejected("invalid_value", "a username has 3 to 32 of A-Z, a-z, 0-9, _, . and -")
        shown, key = addresses.username(username)
        platform = require_platform(platform)
        address = addresses.address(typed) if typed is not None else None
        if self._core.bootstrap and not await self._core.people.has_people():
            raise RequestRejected("forbidden", "The first account is the operator's to make.")
        await self._core.throttle.registration(origin)  # counts taken names too: they tell who has an account
        if address is not None:
            await self._emails.admit(address, origin)
        clock = self._core.clock
        account = Account(clock.uuid4(), shown, Owner(clock.uuid4(), "", username=shown))
        wish = None
        if address is not None:
            wish = self._emails.wish(account, address, platform, origin, needs_code=False)
        issue, entered = await self._core.steps.first(account, origin, self._form, platform=platform)
        # at once: a name without its session, or without its mail, would be taken for ever, by nobody
        with self._core.throttle.watching("registration_refused"):
            await self._core.people.register(account, key, issue, wish=wish)
        if wish is not None:
            self._core.notices.posted()
        return entered
