"""Logging in and second factors: `beginners/users/...`."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlencode

from gateway.errors import RequestRejected
from gateway.identity.factors import Factors
from gateway.identity.logins import LinkView, Logins
from gateway.identity.sessions import Sessions
from gateway.login import qr
from gateway.login.caller import session_of
from gateway.login.dialect import NO_CONTENT, Call, Endpoint, Reply, replied
from gateway.login.mycelium.answers import logged_in
from gateway.login.pages.render import LoginView, Pages

_SENT = replied({"sent": True})


class Users:
    """base: mount and `/beginners`."""

    def __init__(self, logins: Logins, factors: Factors, sessions: Sessions, pages: Pages, base: str) -> None:
        self._logins = logins
        self._factors = factors
        self._sessions = sessions
        self._pages = pages
        self._base = base

    def endpoints(self) -> Sequence[Endpoint]:
        base = self._base
        link, second = f"{base}/users/magic-link", f"{base}/users/totp"
        return (
            Endpoint("POST", f"{link}/request", self.request_link, "nobody", "json"),
            Endpoint("GET", f"{link}/display/{{token}}", self.display, "nobody", page=True),
            Endpoint("GET", f"{link}/display", self.display, "nobody", page=True),
            Endpoint("POST", f"{link}/display/{{token}}", self.show, "nobody", "form", page=True),
            Endpoint("POST", f"{link}/display", self.show, "nobody", "form", page=True),
            Endpoint("POST", f"{link}/verify", self.verify_link, "nobody", "json"),
            Endpoint("POST", f"{base}/users/login", self.login, "nobody", "json"),
            Endpoint("POST", f"{base}/users/start-password-reset", self.request_reset, "nobody", "json"),
            Endpoint("POST", f"{base}/users/reset-password", self.reset_password, "nobody", "json"),
            Endpoint("PUT", f"{base}/users/password", self.change_password, body="json"),
            Endpoint("POST", f"{base}/users/logout", self.logout, "pending"),
            Endpoint("POST", f"{second}/enable", self.enable),
            Endpoint("POST", f"{second}/validate-app", self.validate_app, body="json"),
            Endpoint("POST", f"{second}/check-token", self.check_token, "pending", "json"),
            Endpoint("POST", f"{second}/disable", self.disable, body="json"),
            Endpoint("POST", f"{second}/recovery-codes", self.recovery_codes, body="json"),
        )

    # magic link

    async def request_link(self, call: Call) -> Reply:
        await self._logins.request_link(call.text("email"), call.origin)
        return _SENT

    async def display(self, call: Call) -> Reply:
        """By path, as the seed has it, or by query, as Mycelium's mails have it. GET changes nothing (S-51)."""
        token = _token(call)
        found = await self._logins.view_link(token)
        await self._pages.open()
        if found is None:
            return await self._gone(call)
        return self._pages.ask(_view(call, found))

    async def show(self, call: Call) -> Reply:
        """The button of the page."""
        shown = await self._logins.show_code(_token(call))
        await self._pages.open()
        if shown is None:
            return await self._gone(call)
        found, code = shown
        return self._pages.code(_view(call, found), code)

    async def _gone(self, call: Call) -> Reply:
        await self._logins.missed_link(call.origin)
        return self._pages.gone()

    async def verify_link(self, call: Call) -> Reply:
        """`{token}` of the link, or `{email, code}` as the page shows it."""
        if "token" in call.body:
            return logged_in(await self._logins.claim_link(call.text("token"), call.origin))
        return logged_in(await self._logins.claim_code(call.text("email"), call.text("code"), call.origin))

    # password

    async def login(self, call: Call) -> Reply:
        return logged_in(await self._logins.password(call.text("email"), call.text("password"), call.origin))

    async def request_reset(self, call: Call) -> Reply:
        await self._logins.request_reset(call.text("email"), call.origin)
        return _SENT

    async def reset_password(self, call: Call) -> Reply:
        code, password = call.text("token"), call.text("newPassword")
        await self._logins.reset_password(call.text("email"), code, password, call.origin)
        return NO_CONTENT

    async def change_password(self, call: Call) -> Reply:
        current, new = call.text("currentPassword"), call.text("newPassword")
        session_of(call)
        await self._logins.change_password(call.caller, current, new, call.origin)
        return NO_CONTENT

    async def logout(self, call: Call) -> Reply:
        account, grant_id = session_of(call)
        await self._sessions.end(account.id, grant_id)
        return NO_CONTENT

    # second factor

    async def enable(self, call: Call) -> Reply:
        """`?qr_code=true`, or `qrCode`: an SVG in place of the URL."""
        account, _ = session_of(call)
        wanted = call.query.get("qr_code", call.query.get("qrCode", "false"))
        if wanted not in ("true", "false"):
            raise RequestRejected("bad_parameter", "qr_code is true or false.")
        url = await self._factors.enable(account)
        if wanted == "true":
            return Reply(200, await asyncio.to_thread(qr.svg, url), "image/svg+xml")
        return replied({"totpUrl": url})

    async def validate_app(self, call: Call) -> Reply:
        account, grant_id = session_of(call)
        codes = await self._factors.confirm(account, call.text("token"), grant_id, call.origin)
        return replied({"finished": True, "recoveryCodes": codes})

    async def check_token(self, call: Call) -> Reply:
        """Also takes a recovery code."""
        session_of(call)
        return logged_in(await self._logins.second_factor(call.caller, call.text("token"), call.origin))

    async def disable(self, call: Call) -> Reply:
        account, grant_id = session_of(call)
        await self._factors.disable(account, call.text("token"), grant_id, call.origin)
        return NO_CONTENT

    async def recovery_codes(self, call: Call) -> Reply:
        account, _ = session_of(call)
        codes = await self._factors.new_recovery_codes(account, call.text("token"), call.origin)
        return replied({"recoveryCodes": codes})


def _view(call: Call, found: LinkView) -> LoginView:
    """The button posts to the page's own address, which a query would be missing from an empty action."""
    action = f"?{urlencode({'token': _token(call)})}" if "token" in call.query else ""
    return LoginView(action, found.address, found.when, found.platform, found.ip, found.minutes)


def _token(call: Call) -> str:
    return call.params.get("token") or call.query.get("token", "")
