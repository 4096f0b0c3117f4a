"""Telegram Mini Apps: a tenant's bot, the caller's Telegram user, and the login. Its paths are below `/auth/telegram`,
whatever the mount; that of a tenant's owners is below it.
"""

import re
from collections.abc import Sequence

from gateway.errors import RequestRejected
from gateway.identity.model import TelegramBot
from gateway.identity.telegram_logins import TelegramLogins
from gateway.login.dialect import NO_CONTENT, Call, Endpoint, Reply, replied
from gateway.login.ids import id_param, is_id
from gateway.login.rfc3339 import moment

TENANT_HEADER = "x-mycelium-tenant-id"
LIFETIME = "24h"  # where the configuration says none

_DURATION = re.compile("([1-9][0-9]{0,8})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class TelegramEndpoints:
    """mount: as `/_adm`."""

    def __init__(self, logins: TelegramLogins, mount: str) -> None:
        self._logins = logins
        self._mount = mount

    def endpoints(self) -> Sequence[Endpoint]:
        link, login = "/auth/telegram/link", "/auth/telegram/login/{tenant_id}"
        return (
            Endpoint("POST", f"{self._mount}/tenant-owner/telegram/config", self.configure, body="json"),
            Endpoint("POST", link, self.link, body="json"),
            Endpoint("DELETE", link, self.unlink),
            Endpoint("POST", login, self.login, caller="nobody", body="json"),
        )

    async def configure(self, call: Call) -> Reply:
        """`{botToken, webhookSecret, role, lifetime?}`."""
        lifetime = seconds(call.body.get("lifetime", LIFETIME))
        bot = TelegramBot(call.text("botToken"), call.text("webhookSecret"), call.text("role"), lifetime)
        await self._logins.configure(call.caller, _tenant(call), bot)
        return NO_CONTENT

    async def link(self, call: Call) -> Reply:
        await self._logins.link(call.caller, _tenant(call), call.text("initData"), call.origin)
        return NO_CONTENT

    async def unlink(self, call: Call) -> Reply:
        await self._logins.unlink(call.caller)
        return NO_CONTENT

    async def login(self, call: Call) -> Reply:
        handed = await self._logins.login(id_param(call, "tenant_id"), call.text("initData"), call.origin)
        return replied({"connectionString": handed.secret, "expiresAt": moment(handed.grant.expires_at)})


def seconds(value: object) -> float:
    """`24h`, or a whole number of seconds. Raises RequestRejected("bad_parameter")."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found:
        return float(int(found[1]) * _UNITS[found[2]])
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**10:
        return float(value)
    raise RequestRejected("bad_parameter", "lifetime is a number of seconds, or a text as 90s, 30m, 24h or 7d.")


def _tenant(call: Call) -> str:
    value = call.headers.get(TENANT_HEADER, "").lower()
    if not is_id(value):
        raise RequestRejected("bad_parameter", f"{TENANT_HEADER} must be the tenant's id.")
    return value
