"""A login API in a few functions, each one or two requests. Written for any mount: no path stands in a test."""

import base64
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from dialects.desk import BASE, PASSWORD, Desk, phc
from e2e.world import Answer

from gateway.identity.accounts import NewAccount

LINK: Final = re.compile(r"/confirm/([\w-]{43})\s")
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
MOUNTS: Final = {
    "mycelium": "/_adm", "mployr": "/v1", "mikrocloud": "/user", "pipelit": "/api/v1/auth", "navak": "/auth",
}  # fmt: skip
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Someone:
    """Of every API at once: with a proven address, a username and PASSWORD."""

    email: str
    username: str
    account: str
    tenant: str = ""


NOBODY: Final = Someone("nobody@example.org", "nobody", "")


@dataclass(frozen=True)
class Half:
    """A login that waits. secret: of the client. raw: the same without what its API puts around it. link: of a mail."""

    secret: str
    raw: str
    link: str = ""


@dataclass(frozen=True)
class Adapter:
    """first: a guess. waits: where a right one's answer has the client's secret. second: presents any secret.
    ends: where the second answer has the final credential; so may the first. end: by the session's own holder.
    faulty: whether a body is an error of this API. mine: what only callers get. wrap, unwrap: what is around a secret.
    approve: what precedes the second step, where that is by mail; an answer is a refusal.
    """

    name: str
    mount: str
    first: Callable[[Desk, Someone, str], Answer]
    waits: tuple[str, ...]
    second: Callable[[Desk, Someone, str, str | None], Answer]
    ends: tuple[str, ...]
    end: Callable[[Desk, str], Answer]
    faulty: Callable[[Mapping[str, Any]], bool]
    mine: str = ""
    wrap: Callable[[str], str] = str
    unwrap: Callable[[str], str] = str
    approve: Callable[[Desk, Half, str], Answer | None] | None = None

    @property
    def tells(self) -> bool:
        """Whether it answers wrong guesses otherwise than right ones."""
        return self.approve is None

    def credential(self, answer: Answer) -> str:
        """The final one, "" for none."""
        return "" if b'"totp_required":true' in answer.body else read(answer, self.ends)

    def half(self, desk: Desk, who: Someone, answer: Answer) -> Half:
        secret = read(answer, self.waits)
        return Half(secret, self.unwrap(secret), desk.host.mailed(who.email, LINK) if self.approve else "")

    def begin(self, desk: Desk, who: Someone) -> Half:
        return self.half(desk, who, self.first(desk, who, PASSWORD))

    def finish(self, desk: Desk, who: Someone, half: Half, code: str | None) -> Answer:
        refused = self.approve(desk, half, code or "") if self.approve else None
        return refused or self.second(desk, who, half.secret, code)

    def enter(self, desk: Desk, who: Someone, code: str | None = None) -> str:
        """A final credential."""
        answer = self.first(desk, who, PASSWORD)
        if not self.credential(answer):
            answer = self.finish(desk, who, self.half(desk, who, answer), code)
        assert self.credential(answer), answer.body
        return self.credential(answer)


def read(answer: Answer, path: tuple[str, ...]) -> str:
    """A text of a good answer, "" for none."""
    found: Any = answer.json() if answer.status == 200 else {}
    for name in path:
        found = found.get(name, {})
    return found if isinstance(found, str) else ""


def strings(value: object) -> Iterator[str]:
    """All of a JSON value."""
    if isinstance(value, str):
        yield value
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(below)


def by_list(sessions: str) -> Callable[[Desk, str], Answer]:
    """Ends the session that asks, where it is listed."""

    def end(desk: Desk, token: str) -> Answer:
        (own,) = [held["id"] for held in desk.ask("GET", sessions, token=token).json() if held["current"]]
        return desk.ask("DELETE", f"{sessions}/{own}", token=token)

    return end


def by_email(path: str) -> Callable[[Desk, Someone, str], Answer]:
    return lambda desk, who, guess: desk.post(path, {"email": who.email, "password": guess})


def mycelium(mount: str) -> Adapter:
    users = f"{mount}/beginners/users"
    return Adapter(
        "mycelium", mount, by_email(f"{users}/login"), ("token",),
        lambda desk, _, secret, code: desk.post(f"{users}/totp/check-token", {"token": code}, secret), ("token",),
        lambda desk, token: desk.post(f"{users}/logout", token=token),
        lambda body: set(body) == {"msg", "code", "request_id"},
        f"{mount}/beginners/tokens",
    )  # fmt: skip


def mployr(mount: str) -> Adapter:
    def faulty(body: Mapping[str, Any]) -> bool:
        return body["success"] is False and set(body) - {"errors", "retry_after"} == {"success", "message"}

    def second(desk: Desk, _: Someone, secret: str, code: str | None) -> Answer:
        return desk.post(f"{mount}/2fa/verify", {"session_token": secret, "code": code})

    return Adapter(
        "mployr", mount, by_email(f"{mount}/login"), ("data", "session_token"), second, ("data", "token"),
        lambda desk, token: desk.post(f"{mount}/logout", token=token), faulty, f"{mount}/me",
        lambda raw: f"temp-{raw}", lambda secret: secret.removeprefix("temp-"),
    )  # fmt: skip


def mikrocloud(mount: str) -> Adapter:
    """It has no way to log out, nor anything else for callers: Mycelium's list of sessions does."""
    return Adapter(
        "mikrocloud", mount, by_email(f"{mount}/login"), ("token",),
        lambda desk, _, secret, code: desk.post(f"{mount}/passport", {"token": secret, "totp": code}), ("auth_token",),
        by_list(f"{BASE}/sessions"),
        lambda body: set(body) - {"errors"} == {"message"}, "",
        lambda raw: base64.b64encode(raw.encode()).decode(), lambda secret: base64.b64decode(secret).decode(),
    )  # fmt: skip


def pipelit(mount: str) -> Adapter:
    """It has no way to log out."""

    def second(desk: Desk, who: Someone, secret: str, code: str | None) -> Answer:
        return desk.post(f"{mount}/mfa/login-verify/", {"username": who.username, "code": code, "mfa_token": secret})

    return Adapter(
        "pipelit", mount,
        lambda desk, who, guess: desk.post(f"{mount}/token/", {"username": who.username, "password": guess}),
        ("mfa_token",), second, ("key",), by_list(f"{BASE}/sessions"), lambda body: set(body) == {"detail"},
        f"{mount}/me/",
    )  # fmt: skip


def navak(mount: str) -> Adapter:
    """Without a password: who guesses wrong has the wrong name for an address. The code is for the mail's page."""

    def first(desk: Desk, who: Someone, guess: str) -> Answer:
        name = who.username if guess == PASSWORD else "somebody-else"
        return desk.post(f"{mount}/login", {"username": name, "email": who.email, "session_platform": "cURL"})

    def second(desk: Desk, _: Someone, secret: str, __: str | None) -> Answer:
        desk.hand.rested += 1
        return desk.ask("GET", f"{mount}/session/{quote(secret, safe='')}")

    def approve(desk: Desk, half: Half, code: str) -> Answer | None:
        body = urlencode({"decision": "approve", "code": code}).encode()
        page = desk.ask("POST", f"{mount}/confirm/{half.link}", body, headers=FORM)
        return None if page.status == 200 else page

    return Adapter(
        "navak", mount, first, ("auth_id",), second, ("session_token",), by_list(f"{mount}/sessions"),
        lambda body: set(body) == {"error"}, f"{mount}/sessions", approve=approve,
    )  # fmt: skip


MAKERS: Final = {made.__name__: made for made in (mycelium, mployr, mikrocloud, pipelit, navak)}
ADAPTERS: Final = [make(MOUNTS[name]) for name, make in MAKERS.items()]


def someone(desk: Desk) -> Someone:
    """Manager in a tenant of their own."""

    async def made() -> Someone:
        name = f"someone-{next(_numbers)}"
        account = await desk.accounts.create_account(NewAccount(f"{name}@example.org", username=name, phc=phc()))
        tenant = await desk.accounts.create_tenant("Acme", account.id)
        await desk.accounts.assign_role(account.id, tenant.id, "manager", "write")
        return Someone(f"{name}@example.org", name, account.id, tenant.id)

    return desk.host.do(made())
