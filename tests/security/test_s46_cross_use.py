"""S-46: each secret on the way to a login is good where it belongs, and nowhere else."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from harness.client import Answer
from harness.site import Site
from identity.core.desk import ADA, BASE, BOB, JSON, PASSWORD, PROXIED, Desk, bearer, seated
from identity.core.world import App

ID = "0b5f1d0e-6f0a-4c66-9a83-4a4f7f0d9b11"
NEW = "another horse battery"


@dataclass
class Keys:
    """What Ada, who has a second factor, and Bob, who is just enrolling one, have in hand."""

    desk: Desk
    ada: str
    bob: str
    app: App
    pending: App
    secrets: Mapping[str, str]

    async def restricted(self) -> str:
        """A login of Ada's that waits for its second factor."""
        return await self.desk.login(ADA)


async def hand_out(desk: Desk) -> Keys:
    await desk.give_password(ADA)
    await desk.give_password(BOB)
    ada, bob = await desk.login(ADA), await desk.login(BOB)
    app, recovery = await desk.enrol(ada)
    pending = await desk.enable(bob)
    link = await desk.link(BOB)
    secrets = {
        "link": link,
        "mail code": await desk.code(link),
        "reset code": await desk.reset_code(BOB),
        "password": PASSWORD,
        "restricted": await desk.login(ADA),
        "session": bob,
        "totp code": app.code(),
        "pending code": pending.code(),
        "pending secret": pending.secret,
        "recovery code": recovery[0],
        "connection string": await desk.connection_string(ada),
    }
    return Keys(desk, ada, bob, app, pending, secrets)


Place = Callable[[Keys, str], Awaitable[Answer]]


async def _display(keys: Keys, value: str) -> Answer:
    return await keys.desk.call("GET", f"users/magic-link/display/{quote(value, safe='')}")


async def _button(keys: Keys, value: str) -> Answer:
    return await keys.desk.call("POST", f"users/magic-link/display/{quote(value, safe='')}")


async def _second(keys: Keys, value: str) -> Answer:
    return await keys.desk.call("POST", "users/totp/check-token", {"token": value}, await keys.restricted())


def _field(method: str, path: str, name: str, caller: str = "", **rest: str) -> Place:
    """A member of the body. caller: whose session is presented."""

    async def place(keys: Keys, value: str) -> Answer:
        token = {"": "", "ada": keys.ada, "bob": keys.bob}[caller]
        return await keys.desk.call(method, path, {**rest, name: value}, token)

    return place


PLACES: Mapping[str, Place] = {
    "display": _display,
    "button": _button,
    "verify by link": _field("POST", "users/magic-link/verify", "token"),
    "verify by code": _field("POST", "users/magic-link/verify", "code", email=BOB),
    "login": _field("POST", "users/login", "password", email=BOB),
    "reset": _field("POST", "users/reset-password", "token", email=BOB, newPassword=NEW),
    "check-token": _second,
    "validate-app": _field("POST", "users/totp/validate-app", "token", "bob"),
    "recovery-codes": _field("POST", "users/totp/recovery-codes", "token", "ada"),
    "disable": _field("POST", "users/totp/disable", "token", "ada"),
    "password": _field("PUT", "users/password", "currentPassword", "bob", newPassword=NEW),
    "links": _field("POST", "users/links", "token", "bob"),
}

# A link may be looked at before it is used. A code of the app counts once, so of its three places the first is tried.
BELONGS: Mapping[str, tuple[str, ...]] = {
    "link": ("display", "button", "verify by link"),
    "mail code": ("verify by code",),
    "reset code": ("reset",),
    "password": ("login", "password"),
    "totp code": ("check-token", "recovery-codes", "disable"),
    "recovery code": ("check-token", "disable"),
    "pending code": ("validate-app",),
    "pending secret": (),
    "restricted": (),
    "session": (),
    "connection string": (),
}


@pytest.mark.parametrize("name", sorted(BELONGS))
async def test_s46_a_secret_is_good_nowhere_but_in_its_place(site: Site, name: str) -> None:
    """In the body or the path. Where it belongs it is good afterwards, so the places were open."""
    keys = await hand_out(await seated(site))
    value, good = keys.secrets[name], BELONGS[name]
    answers = {place: (await ask(keys, value)).status for place, ask in PLACES.items() if place not in good}
    assert {place: status for place, status in answers.items() if not 400 <= status < 500} == {}
    first = [await PLACES[place](keys, value) for place in good[:1]]
    assert all(answer.status in (200, 204) for answer in first)


@pytest.mark.parametrize(
    ("field", "good"),
    [("Authorization: Bearer ", {"session", "restricted"}), ("x-mycelium-connection-string: ", {"connection string"})],
)
async def test_s46_a_secret_is_no_credential(site: Site, field: str, good: set[str]) -> None:
    """Neither as Bearer nor as connection string: whatever asks who calls says 401, the proxy too."""
    keys = await hand_out(await seated(site))
    found = {}
    for name, secret in keys.secrets.items():
        for method, path in guarded(keys.desk) if name not in good else ():
            found[name, method, path] = await status(keys.desk, method, path, f"{field}{secret}".encode())
    assert {place: answer for place, answer in found.items() if answer != 401} == {}


async def test_s46_a_restricted_token_takes_the_second_step_or_leaves(site: Site) -> None:
    """Everything else says `mfa_required`: proxy, profile, sessions, tokens, factors, links, password."""
    desk = await seated(site)
    await desk.give_password(ADA)
    await desk.enrol(await desk.login(ADA))
    field = bearer(await desk.login(ADA))
    found = {}
    for method, path in guarded(desk):
        if path not in (f"{BASE}/users/logout", f"{BASE}/users/totp/check-token"):
            answer = await desk.send(method, path, field, JSON, body=b"{}")
            found[method, path] = (answer.status, answer.code)
    assert set(found.values()) == {(401, "mfa_required")}


async def test_s46_only_two_endpoints_take_a_restricted_token(site: Site) -> None:
    """A third one would have to be thought about."""
    assert [one.path for one in (await seated(site)).endpoints if one.caller == "pending"] == [
        f"{BASE}/users/logout",
        f"{BASE}/users/totp/check-token",
    ]


async def test_s46_a_restricted_token_is_let_through_where_nobody_is_asked(site: Site) -> None:
    """As a stranger: the upstream is told of nobody."""
    desk = await seated(site)
    await desk.give_password(ADA)
    await desk.enrol(await desk.login(ADA))
    answer = await desk.send("GET", "/public/x", bearer(await desk.login(ADA)))
    got = await desk.upstream.got()
    assert (answer.status, got.all(b"x-mycelium-profile"), got.all(b"authorization")) == (200, [], [])


def guarded(desk: Desk) -> list[tuple[str, str]]:
    """Method and path of all that asks who calls."""
    found = [
        (one.method, one.path.replace("{id}", ID).replace("{tenant_id}", ID))
        for one in desk.endpoints
        if one.caller != "nobody"
    ]
    return [*found, ("GET", f"{BASE}/profile"), *(("GET", path) for path in PROXIED)]


async def status(desk: Desk, method: str, path: str, field: bytes) -> int:
    return (await desk.send(method, path, field, JSON, body=b"{}")).status
