"""Every endpoint that takes a code, whatever API it is of: what it takes to get there, and how a code is presented."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from conformance.adapters import ADAPTERS, Adapter, Someone, someone
from dialects.desk import BASE, LINKS, PASSWORD, SHOWN, TOTP, Desk, secret_of
from e2e.world import Answer
from harness.hosted import CODE, LINK


@dataclass(frozen=True)
class Armed:
    """Somebody with a second factor that is on. token: of the session that it was set up in. codes: for recovery."""

    who: Someone
    secret: str
    token: str
    codes: list[str]


Present = Callable[[str], Answer]
Place = Callable[[Desk, Armed], Present]


def unarmed(desk: Desk) -> tuple[Someone, str]:
    """And a session."""
    who = someone(desk)
    return who, ADAPTERS[0].enter(desk, who)


def armed(desk: Desk) -> Armed:
    who, token = unarmed(desk)
    secret = desk.begun(token)
    answer = desk.post(f"{TOTP}/validate-app", {"token": desk.code(secret)}, token)
    assert answer.status == 200, answer.body
    return Armed(who, secret, token, answer.json()["recoveryCodes"])


def _second(api: Adapter) -> Place:
    """The second step of a login."""

    def place(desk: Desk, at: Armed) -> Present:
        half = api.begin(desk, at.who)
        return lambda code: api.finish(desk, at.who, half, code)

    return place


def _held(path: str, name: str = "code", **more: str) -> Place:
    """With a session."""
    return lambda desk, at: lambda code: desk.post(path, {name: code, **more}, at.token)


# Where a code of the app counts: the second steps, and what a session does with one.
SECOND: Mapping[str, Place] = {f"{api.name}, second step": _second(api) for api in ADAPTERS}
HELD: Mapping[str, Place] = {
    "mycelium, disable": _held(f"{TOTP}/disable", "token"),
    "mycelium, recovery codes": _held(f"{TOTP}/recovery-codes", "token"),
    "mployr, disable": _held("/v1/2fa/disable", password=PASSWORD),
    "mployr, recovery codes": _held("/v1/2fa/recovery-codes"),
    "pipelit, disable": _held("/api/v1/auth/mfa/disable/"),
}
APP: Mapping[str, Place] = {**SECOND, **HELD}


def _enrolment(
    begin: Callable[[Desk, str], str], path: str, name: str = "code"
) -> Callable[[Desk], tuple[str, Present]]:
    """The secret that was shown, and where its first code is presented."""

    def place(desk: Desk) -> tuple[str, Present]:
        _, token = unarmed(desk)
        return begin(desk, token), lambda code: desk.post(path, {name: code}, token)

    return place


def _mployrs(desk: Desk, token: str) -> str:
    return str(desk.post("/v1/2fa/setup", token=token).json()["data"]["secret"])


def _pipelits(desk: Desk, token: str) -> str:
    return secret_of(desk.post("/api/v1/auth/mfa/setup/", token=token).json()["provisioning_uri"])


ENROLMENTS: Mapping[str, Callable[[Desk], tuple[str, Present]]] = {
    "mycelium, validate": _enrolment(Desk.begun, f"{TOTP}/validate-app", "token"),
    "mployr, enable": _enrolment(_mployrs, "/v1/2fa/enable"),
    "pipelit, verify": _enrolment(_pipelits, "/api/v1/auth/mfa/verify/"),
}


def _mailed(desk: Desk) -> tuple[str, Present]:
    who = someone(desk)
    assert desk.post(f"{LINKS}/request", {"email": who.email}).status == 200
    page = desk.ask("POST", f"{LINKS}/display/{desk.host.mailed(who.email, LINK)}").body.decode()
    found = SHOWN.search(page)
    assert found
    return found[1], lambda code: desk.post(f"{LINKS}/verify", {"email": who.email, "code": code})


def _reset(desk: Desk) -> tuple[str, Present]:
    who = someone(desk)
    assert desk.post(f"{BASE}/users/start-password-reset", {"email": who.email}).status == 200
    body = {"email": who.email, "newPassword": "another horse battery"}
    code = desk.host.mailed(who.email, CODE)
    return code, lambda token: desk.post(f"{BASE}/users/reset-password", {**body, "token": token})


# Where a code counts that was mailed, or is shown on a page that a mail leads to.
MAILED: Mapping[str, Callable[[Desk], tuple[str, Present]]] = {"link's code": _mailed, "reset": _reset}
