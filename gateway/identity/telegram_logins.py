"""Logins from Telegram Mini Apps: a tenant's bot, the Telegram user of an account, and what a login hands out.

A Telegram user is an external identity of the issuer `telegram:TENANT`, linked for one tenant. Who configures a
tenant's bot knows its token, and so can speak as any Telegram user there: nothing that it proves counts elsewhere.
"""

import re
from dataclasses import replace
from typing import Final, Protocol

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.connection_string import SLUG
from gateway.identity.grants import MAX_LIFETIME, Grants, Handed
from gateway.identity.links import Links, session_account
from gateway.identity.model import ExternalIdentity, Principal, TelegramBot
from gateway.identity.origin import Origin
from gateway.identity.telegram import read_init_data
from gateway.identity.throttle import Throttle

ISSUER: Final = "telegram:"  # and the tenant; no external issuer's `iss`: those are URLs
DIALECT: Final = "telegram"  # of the grants
MIN_LIFETIME = 60.0  # seconds

_TOKEN = re.compile("[!-~]{1,256}")
_WEBHOOK_SECRET = re.compile("[A-Za-z0-9_-]{1,256}")  # https://core.telegram.org/bots/api#setwebhook
_SLUG = re.compile(SLUG)


class BotStore(Protocol):
    """Raises as the other stores do (`identity.ports`)."""

    async def put_bot(self, tenant_id: str, bot: TelegramBot) -> None:
        """In the place of the one that was there. May be "not_found" (the tenant)."""

    async def bot(self, tenant_id: str) -> TelegramBot | None: ...


class TelegramLogins:
    """max_lifetime: of connection strings, in seconds, as `Grants` has it."""

    def __init__(
        self,
        bots: BotStore,
        links: Links,
        grants: Grants,
        throttle: Throttle,
        clock: Clock,
        max_lifetime: float = MAX_LIFETIME,
    ) -> None:
        self._bots = bots
        self._links = links
        self._grants = grants
        self._throttle = throttle
        self._clock = clock
        self._max_lifetime = max_lifetime

    async def configure(self, principal: Principal, tenant_id: str, bot: TelegramBot) -> None:
        """Set a tenant's bot: for its owners, and for staff, in a session.

        Raises RequestRejected: "forbidden", "invalid_value", "not_found", and as `session_account`.
        """
        account = session_account(principal)
        if not account.is_staff and tenant_id not in {owned.tenant_id for owned in principal.ownerships}:
            raise RequestRejected("forbidden", "Only an owner of the tenant may do that.")
        await self._bots.put_bot(tenant_id, checked(bot, self._max_lifetime))

    async def link(self, principal: Principal, tenant_id: str, init_data: str, origin: Origin) -> None:
        """Link a Telegram user to the caller's account: the session proves the one, initData the other.

        Raises as `login` and `Links.link`.
        """
        account = session_account(principal)
        async with await self._throttle.guess(origin, None, kind="identity_refused") as ticket:
            identity = await self._identity(await self._bot(tenant_id), tenant_id, init_data)
            await ticket.passed()
        await self._links.attach(account, identity, "Telegram", origin)

    async def unlink(self, principal: Principal) -> None:
        """No login for it any more, in any tenant; what its logins have got ends.

        Raises RequestRejected("not_found"), and as `session_account`.
        """
        await self._links.detach(session_account(principal), ISSUER, DIALECT)

    async def login(self, tenant_id: str, init_data: str, origin: Origin) -> Handed:
        """A connection string for the bot's role in the tenant, with the bot's lifetime.

        No second factor is asked for here: a session of the account, with all its factors, made the link. initData may
        be presented again within its window; each time hands out another string, up to the account's limit. On a route
        that is open to any caller the string speaks for the account in all tenants, as every connection string does:
        a tenant's owner knows the bot's token. Raises RequestRejected:
        "telegram_not_configured_for_tenant", "invalid_telegram_init_data", "no_account" (the user is not linked, or to
        an account that is not live), "role_missing", "too_many_attempts"; and as GrantStore.
        """
        async with await self._throttle.guess(origin, None) as ticket:
            bot = await self._bot(tenant_id)
            account = await self._links.holder(await self._identity(bot, tenant_id, init_data))
            if account is None:
                raise RequestRejected("no_account", "This Telegram user is not linked to an account.")
            until = float(int(self._clock.now() + min(bot.lifetime, self._max_lifetime)))
            await self._grants.check(account.id, until)
            handed = await self._grants.create_connection_string(
                account.id, tenant_id, bot.role, until, name="Telegram", dialect=DIALECT
            )
            await ticket.passed()
            return handed

    async def _bot(self, tenant_id: str) -> TelegramBot:
        bot = await self._bots.bot(tenant_id)
        if bot is None:
            raise RequestRejected("telegram_not_configured_for_tenant")
        return bot

    async def _identity(self, bot: TelegramBot, tenant_id: str, init_data: str) -> ExternalIdentity:
        return ExternalIdentity(ISSUER + tenant_id, str(read_init_data(init_data, bot.token, self._clock.now()).id))


def checked(bot: TelegramBot, max_lifetime: float) -> TelegramBot:
    """Raises RequestRejected("invalid_value"), without the values: two of them are secrets."""
    if not _TOKEN.fullmatch(bot.token):
        raise RequestRejected("invalid_value", "botToken is what BotFather gave: printable characters, no space")
    if not _WEBHOOK_SECRET.fullmatch(bot.webhook_secret):
        raise RequestRejected("invalid_value", "webhookSecret is 1 to 256 of A-Z, a-z, 0-9, _ and -")
    if not _SLUG.fullmatch(bot.role):
        raise RequestRejected("invalid_value", "role is 1 to 64 of a-z, 0-9, _ and -, not beginning with _ or -")
    if not MIN_LIFETIME <= bot.lifetime <= max_lifetime:
        raise RequestRejected("invalid_value", f"lifetime is from a minute to {max_lifetime / 86400:g} days")
    return replace(bot, lifetime=float(bot.lifetime))
