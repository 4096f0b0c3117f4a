"""Logging in, in one step or two, and what the token is good for here: `login`, `2fa/verify`, `refresh`, `logout`,
`me`."""

from collections.abc import Sequence
from typing import Final

from gateway.identity.sessions import Sessions
from gateway.identity.steps import Form, Steps
from gateway.login.caller import account_of, session_of
from gateway.login.dialect import Call, Endpoint, Reply
from gateway.login.mployr.answers import LIFETIME, done, logged_in, user
from gateway.login.mployr.fields import texts

FORM: Final = Form("mployr", LIFETIME, None)
PREFIX: Final = "temp-"  # of a session_token, as the seed shows it: nobody takes it for a login's token
RENEWED_FOR: Final = 30 * 86400.0  # seconds since the login: a stolen token must not be renewed for ever


class SessionEndpoints:
    def __init__(self, steps: Steps, sessions: Sessions, mount: str) -> None:
        self._steps = steps
        self._sessions = sessions
        self._mount = mount

    def endpoints(self) -> Sequence[Endpoint]:
        mount = self._mount
        return (
            Endpoint("POST", f"{mount}/login", self.login, "nobody", "json"),
            Endpoint("POST", f"{mount}/2fa/verify", self.verify, "nobody", "json"),
            Endpoint("POST", f"{mount}/refresh", self.refresh),
            Endpoint("POST", f"{mount}/logout", self.logout),
            Endpoint("GET", f"{mount}/me", self.me),
        )

    async def login(self, call: Call) -> Reply:
        """`{email, password}` -> the token; or, with a second factor on, a `session_token` for `2fa/verify` alone."""
        email, password = texts(call, "email", "password")
        begun = await self._steps.begin(email, "email", password, call.origin, FORM.dialect, newest=True)
        if begun.factor_on:
            return done({"requires_2fa": True, "session_token": PREFIX + begun.token})
        entered = await self._steps.finish(begun.token, None, call.origin, FORM)
        return logged_in(entered.secret, entered.account)

    async def verify(self, call: Call) -> Reply:
        """`{session_token, code}` -> the token. A recovery code is taken as `code` and as `recovery_code`."""
        which = "recovery_code" if not call.body.get("code") and call.body.get("recovery_code") else "code"
        token, code = texts(call, "session_token", which)
        entered = await self._steps.finish(_bare(token), code, call.origin, FORM)
        return logged_in(entered.secret, entered.account)

    async def refresh(self, call: Call) -> Reply:
        """A token of a new session; the presented one ends."""
        account, _ = session_of(call)
        told = await self._steps.minting(account)
        grant = await self._sessions.renew(call.caller, FORM.dialect, FORM.lifetime, RENEWED_FOR, call.origin)
        return logged_in(await told(grant), account)

    async def logout(self, call: Call) -> Reply:
        account, grant_id = session_of(call)
        await self._sessions.end(account.id, grant_id)
        return done({})

    async def me(self, call: Call) -> Reply:
        return done(user(account_of(call)))


def _bare(token: str) -> str:
    """What begins otherwise is none of ours: no login has the empty one."""
    return token.removeprefix(PREFIX) if token.startswith(PREFIX) else ""
