"""Logging in, the first account, and who one is: `token/`, `mfa/login-verify/`, `setup/`, `setup-status/`, `me/`."""

from collections.abc import Sequence

from gateway.errors import RequestRejected
from gateway.identity.services import Services
from gateway.identity.setup import Setup
from gateway.identity.steps import Entered, handle
from gateway.login.caller import account_of
from gateway.login.dialect import Call, Endpoint, Reply, replied
from gateway.login.pipelit.answers import SETUP_TOKEN_HEADER, logged_in, shown_name
from gateway.login.pipelit.fields import Fields
from gateway.login.pipelit.local import is_local
from gateway.login.pipelit.said import NAME, Said, form

COOKIE = "pipelit_mfa"


class LoginEndpoints:
    def __init__(self, services: Services, said: Said) -> None:
        self._services = services
        self._said = said
        self._form = form(said)
        self._setup = Setup(services.people, services.passwords, services.pepper, services.clock)

    def endpoints(self) -> Sequence[Endpoint]:
        base = self._said.mount
        return (
            Endpoint("POST", f"{base}/token", self.token, "nobody", "json"),
            Endpoint("POST", f"{base}/mfa/login-verify", self.login_verify, "nobody", "json"),
            Endpoint("GET", f"{base}/setup-status", self.setup_status, "nobody"),
            Endpoint("POST", f"{base}/setup", self.set_up, "nobody", "json"),
            Endpoint("GET", f"{base}/me", self.me),
        )

    async def token(self, call: Call) -> Reply:
        """`{username, password}` -> `{key, requires_mfa}`; with a second factor on also `mfa_token`, for the second
        call, which browsers have in a cookie as well."""
        fields = Fields(call.body)
        username, password = fields.text("username"), fields.text("password")
        fields.check()
        begun = await self._services.steps.begin(username, "username", password, call.origin, NAME)
        if begun.factor_on:
            body = {"key": "", "requires_mfa": True, "mfa_token": begun.token}
            return _with_cookie(replied(body), self._cookie(begun.token))
        return _answered(await self._services.steps.finish(begun.token, None, call.origin, self._form))

    async def login_verify(self, call: Call) -> Reply:
        """`{username, code, mfa_token?}` -> `{key, requires_mfa}`. A recovery code does too."""
        fields = Fields(call.body)
        username, code = fields.text("username"), fields.code("code", recovery=True)
        token = fields.optional("mfa_token")
        fields.check()
        account = await self._services.people.by_username(handle(username, "username"))
        token = _cookie_of(call) if token is None else token
        if token is None and self._said.binding == "strict":
            raise RequestRejected("code_wrong")
        steps = self._services.steps
        if token is None:  # as the seed has it: the login that this very address and program began
            entered = await steps.finish_here(account, code, call.origin, self._form)
        else:  # one that is there and wrong is not made up for by the address
            entered = await steps.finish_own(account, token, code, call.origin, self._form)
        return _with_cookie(_answered(entered), self._cookie(""))

    async def setup_status(self, call: Call) -> Reply:
        return replied({"needs_setup": await self._setup.is_needed()})

    async def set_up(self, call: Call) -> Reply:
        """`{username, password}` -> `{key, requires_mfa}`, once; from elsewhere with the token in its header."""
        if not await self._setup.is_needed():
            raise RequestRejected("conflict")  # whatever the body
        local = is_local(call, self._services.public_url)
        fields = Fields(call.body)
        username = fields.username("username")
        password = fields.password("password", lambda typed: self._setup.check(typed, username, local=local))
        fields.check()
        with self._services.throttle.watching("registration_refused"):
            account = await self._setup.create(username, password, None if local else _setup_token(call))
        return _answered(await self._services.steps.handed(account, call.origin, self._form))

    async def me(self, call: Call) -> Reply:
        account = account_of(call)
        held = await self._services.factors.held(account.id)
        return replied({"username": shown_name(account), "mfa_enabled": held.active is not None})

    def _cookie(self, token: str) -> str:
        """token: "" takes it away."""
        age = "" if token else "; Max-Age=0"
        secure = "; Secure" if self._services.public_url.startswith("https:") else ""
        return f"{COOKIE}={token}; Path={self._said.mount}; HttpOnly; SameSite=Strict{age}{secure}"


def _answered(entered: Entered) -> Reply:
    return replied(logged_in(entered.secret))


def _with_cookie(reply: Reply, cookie: str) -> Reply:
    return Reply(reply.status, reply.body, reply.content_type, {**reply.headers, "Set-Cookie": cookie})


def _cookie_of(call: Call) -> str | None:
    """RFC 6265 section 4.2.1. Two of them are two logins, and choosing one would be a guess: "", which is nobody's."""
    pairs = [pair.strip(" \t").partition("=") for pair in call.headers.get("cookie", "").split(";")]
    found = {value for name, _, value in pairs if name == COOKIE}
    if not found:
        return None
    return found.pop() if len(found) == 1 else ""


def _setup_token(call: Call) -> str:
    return call.headers.get(SETUP_TOKEN_HEADER, "")
