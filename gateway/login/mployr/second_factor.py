"""The second factor of whoever is logged in: `2fa/...`."""

import asyncio
import base64
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit

from gateway.errors import RequestRejected
from gateway.identity.factors import Factors
from gateway.identity.logins import Logins
from gateway.identity.sessions import Sessions
from gateway.login import qr
from gateway.login.caller import account_of, session_of
from gateway.login.dialect import Call, Endpoint, Reply
from gateway.login.mployr.answers import done
from gateway.login.mployr.fields import texts
from gateway.login.rfc3339 import moment

ISSUER: Final = "Mployr"  # as authenticator apps name it
# Seconds since the login. A stolen token must not lock its owner out with somebody else's second factor.
FRESH: Final = 300.0


class SecondFactorEndpoints:
    def __init__(self, factors: Factors, logins: Logins, sessions: Sessions, mount: str) -> None:
        self._factors = factors
        self._logins = logins
        self._sessions = sessions
        self._mount = mount

    def endpoints(self) -> Sequence[Endpoint]:
        base = f"{self._mount}/2fa"
        return (
            Endpoint("GET", f"{base}/status", self.status),
            Endpoint("POST", f"{base}/setup", self.setup),
            Endpoint("POST", f"{base}/enable", self.enable, body="json"),
            Endpoint("POST", f"{base}/disable", self.disable, body="json"),
            Endpoint("POST", f"{base}/recovery-codes", self.recovery_codes, body="json"),
        )

    async def status(self, call: Call) -> Reply:
        held = await self._factors.held(account_of(call).id)
        confirmed_at = None if held.active is None else held.active.confirmed_at
        return done(
            {
                "enabled": held.active is not None,
                "confirmed_at": moment(confirmed_at),
                "recovery_codes_remaining": held.recovery_codes,
            }
        )

    async def setup(self, call: Call) -> Reply:
        """The secret, for the only time, as text, as URL and as QR code."""
        account, _ = session_of(call)
        if await self._sessions.since_login(call.caller) > FRESH:
            raise RequestRejected("login_too_old")
        url = await self._factors.enable(account, issuer=ISSUER)
        (secret,) = parse_qs(urlsplit(url).query)["secret"]
        image = base64.b64encode(await asyncio.to_thread(qr.svg, url)).decode()
        return done({"secret": secret, "otpauth_url": url, "qr_code": f"data:image/svg+xml;base64,{image}"})

    async def enable(self, call: Call) -> Reply:
        account, grant_id = session_of(call)
        (code,) = texts(call, "code")
        codes = await self._factors.confirm(account, code, grant_id, call.origin)
        return done({"enabled": True, "recovery_codes": codes})

    async def disable(self, call: Call) -> Reply:
        """`{password, code}`; the code may be a recovery code."""
        account, grant_id = session_of(call)
        password, code = texts(call, "password", "code")
        await self._logins.prove_password(account, password, call.origin)
        await self._factors.disable(account, code, grant_id, call.origin)
        return done({"enabled": False})

    async def recovery_codes(self, call: Call) -> Reply:
        """`{code}` of the app: the token alone must not beget ways around the second factor."""
        account, _ = session_of(call)
        (code,) = texts(call, "code")
        return done({"recovery_codes": await self._factors.new_recovery_codes(account, code, call.origin)})
