"""Logins over real sockets: what is logged of a link, what a connection string may be, what no body can do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from harness.client import Answer
from harness.people import DAY, open_people
from harness.site import Site
from identity.core.desk import ADA, BASE, BOB, JSON, PASSWORD, Desk, bearer, seated
from login.linking import ORIGIN, opened
from sqlalchemy import event
from sqlalchemy.engine import Engine

from gateway.control.dialects import MAX_DEPTH, read_json
from gateway.errors import RequestRejected
from gateway.identity.accounts import Accounts
from gateway.identity.model import ExternalIdentity, Permission

ID = "0b5f1d0e-6f0a-4c66-9a83-4a4f7f0d9b11"
DISPLAY = "/_adm/beginners/users/magic-link/display"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
FORMS = (
    f"{DISPLAY}/TOKEN",
    f"{DISPLAY}/TOKEN/",
    f"{DISPLAY}/TOKEN/x/y",
    f"{DISPLAY.upper()}/TOKEN",
    "/_ADM/beginners/users/magic-link/display/TOKEN",
    "/_adm/Beginners/Users/Magic-Link/Display/TOKEN/x",
    f"{DISPLAY}?token=TOKEN",
    f"{DISPLAY}/?token=TOKEN",
)
# What some proxies and mail programs make of `_` and `-`, and of letters.
ENCODED = (
    "/%5Fadm/beginners/users/magic-link/display/TOKEN",
    "/%5fadm/beginners/users/magic%2dlink/display/TOKEN",
    "/_adm/beginners/users/magic-link/%64isplay/TOKEN",
)
CATCH_ALL = {"path": "/**", "methods": ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], "access": "public"}


# the access log


async def logged(site: Site, forms: tuple[str, ...], **route: object) -> tuple[str, str]:
    """A live link, and the access log of a gateway with a route for everything, after each form by each method."""
    desk = await seated(site, routes=[{**CATCH_ALL, **route}])
    token = await desk.link(BOB)
    for form in forms:
        for method in METHODS:
            await desk.send(method, form.replace("TOKEN", token), body=b"" if method in ("POST", "PUT") else None)
    lines = await desk.running.lines()
    assert len(lines) > len(forms) * len(METHODS)  # all of these, and the mail that was asked for
    return token, json.dumps(lines)


async def test_no_way_to_write_a_link_s_path_gets_its_token_logged(site: Site) -> None:
    """Also where an operator's own route takes what no endpoint of ours does."""
    token, log = await logged(site, FORMS)
    assert token not in log


async def test_no_encoding_of_a_link_s_path_gets_its_token_logged(site: Site) -> None:
    """An upstream may take it for the same path, and a reader of the log can use the token."""
    token, log = await logged(site, ENCODED)
    assert token not in log


async def test_the_path_beside_a_link_is_logged(site: Site) -> None:
    """The other side: what holds no secret is told."""
    desk = await seated(site, routes=[CATCH_ALL])
    await desk.send("GET", "/_adm-x/beginners/users/magic-link/display/TOKEN")
    assert "/_adm-x/beginners/users/magic-link/display/TOKEN" in [line["path"] for line in await desk.running.lines()]


# connection strings


async def create(desk: Desk, token: str, **said: object) -> Answer:
    body = {"tenantId": desk.running.people.tenant_id, "role": "manager", **said}
    return await desk.call("POST", "tokens", body, token)


def later(desk: Desk, seconds: float) -> str:
    return f"{datetime.fromtimestamp(desk.running.hand.clock.now() + seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    "said",
    [
        {"expiration": 10**12},
        {"expiration": 10**400},
        {"expiration": -1},
        {"expiration": 0},
        {"expiration": -(10**400)},
        {"expiration": 1e300},
        {"expiration": True},
        {"expiration": "60"},
        {"expiresAt": "9999-12-31T23:59:59-23:59"},
        {"expiresAt": "0001-01-01T00:00:00+23:59"},
        {"expiresAt": "9999-12-31T23:59:59Z"},
        {"expiresAt": "2016-12-31T23:59:60Z"},
        {"expiresAt": 10**12},
    ],
    ids=lambda said: ascii(said)[:40],
)
async def test_an_expiry_out_of_bounds_is_a_bad_request(site: Site, said: dict[str, object]) -> None:
    """And no error of ours: the site looks into the log at its end."""
    desk = await seated(site)
    assert (await create(desk, desk.running.people.ada.token, **said)).status == 400


async def test_a_second_is_long_enough(site: Site) -> None:
    """The other side of the lower bound; two, as one is over while it is made."""
    desk = await seated(site)
    assert (await create(desk, desk.running.people.ada.token, expiration=2)).status == 200


@contextmanager
def looks() -> Iterator[list[str]]:
    """The statements that look for a free expiry meanwhile."""
    found: list[str] = []

    def heard(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if "BETWEEN" in statement:
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", heard)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", heard)


async def fifty(desk: Desk, until: str) -> list[dict[str, str]]:
    token = desk.running.people.ada.token
    answers = [await create(desk, token, expiresAt=until) for _ in range(50)]
    return [json.loads(answer.body) for answer in answers]


async def test_the_same_values_fifty_times_are_fifty_expiries(site: Site) -> None:
    """And fifty strings: none is another's second spelling."""
    desk = await seated(site)
    found = await fifty(desk, later(desk, DAY))
    assert [len({one[key] for one in found}) for key in ("expiresAt", "connectionString")] == [50, 50]


async def test_a_free_expiry_is_found_with_one_look(site: Site) -> None:
    """Not with one try per second that is taken: the fiftieth costs what the first does."""
    desk = await seated(site)
    until = later(desk, DAY)
    with looks() as found:
        await fifty(desk, until)
    assert len(found) == 50


@pytest.mark.parametrize(("method", "end"), [("POST", "/revoke"), ("DELETE", "")])
async def test_a_string_that_was_ended_is_not_made_again(site: Site, method: str, end: str) -> None:
    """By the same values: it would be good again wherever it still lies."""
    desk = await seated(site)
    token, until = desk.running.people.ada.token, later(desk, 2 * DAY)
    first = json.loads((await create(desk, token, expiresAt=until)).body)
    newest = (await desk.done("GET", "tokens", token=token))[0]
    await desk.done(method, f"tokens/{newest['id']}{end}", token=token)
    again = json.loads((await create(desk, token, expiresAt=until)).body)
    field = b"x-mycelium-connection-string: " + first["connectionString"].encode()
    assert (again["expiresAt"] != until, (await desk.send("GET", "/secure/x", field)).status) == (True, 401)


async def test_thirty_strings_a_minute_are_enough(site: Site) -> None:
    """The next one waits: strings stay, and each sends a mail."""
    running = await site.gateway(await site.upstream(), mail={"url": "file:./outbox"})
    desk, token = Desk(site, running, await site.upstream()), running.people.ada.token
    found = [await create(desk, token, expiration=60 * (number + 1)) for number in range(31)]
    assert [answer.status for answer in found] == [200] * 30 + [429]
    assert 0 < int(found[-1].one(b"retry-after")) <= 60


async def assigned(desk: Desk, permission: Permission) -> str:
    """Bob's token, once he holds the role with this permission."""
    store = await open_people(desk.running.people)
    accounts = Accounts(store.accounts, store.tenants, store.roles, desk.running.hand.clock)
    people = desk.running.people
    try:
        await accounts.assign_role(people.bob.account_id, people.tenant_id, "manager", permission)
    finally:
        await store.aclose()
    return people.bob.token


@pytest.mark.parametrize(
    ("held", "wanted", "status"),
    [("read", "write", 403), ("read", "read", 200), ("write", "write", 200), ("write", "read", 200)],
)
async def test_a_string_may_write_where_its_maker_may(site: Site, held: Permission, wanted: str, status: int) -> None:
    """And never more."""
    desk = await seated(site)
    token = await assigned(desk, held)
    body = {"role": None, "roles": [{"name": "manager", "permission": wanted}], "expiration": 3600}
    assert (await create(desk, token, **body)).status == status


# bodies


def nested(depth: int) -> bytes:
    """An object, so deep in all."""
    return b'{"email":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize("depth", [9, 700, 5000])
async def test_a_body_that_is_too_deep_is_a_bad_request(site: Site, depth: int) -> None:
    """At every endpoint that anybody may call. Python's parser, and a look at its result, go down with it."""
    desk = await seated(site)
    found = {}
    for one in desk.endpoints:
        if one.body == "json" and one.caller == "nobody":
            path = one.path.replace("{tenant_id}", desk.running.people.tenant_id)
            found[path] = (await desk.send(one.method, path, JSON, body=nested(depth))).status
    assert set(found.values()) == {400}


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_body_at_the_depth_is_taken(opening: bytes) -> None:
    """The other side; arrays and objects count alike."""
    deep = opening * (MAX_DEPTH - 1) + b"1" + {b"[": b"]"}.get(opening, b"}") * (MAX_DEPTH - 1)
    assert list(read_json("application/json", b'{"x":' + deep + b"}")) == ["x"]


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_body_below_the_depth_is_refused(opening: bytes) -> None:
    """One more."""
    deep = opening * MAX_DEPTH + b"1" + {b"[": b"]"}.get(opening, b"}") * MAX_DEPTH
    with pytest.raises(RequestRejected, match="bad_parameter"):
        read_json("application/json", b'{"x":' + deep + b"}")


@pytest.mark.parametrize("body", [None, b"", b"{", b"[]"])
async def test_whoever_may_not_call_is_told_nothing_about_the_body(site: Site, body: bytes | None) -> None:
    """401, with nothing sent, or anything: clients take 415 for a fault of their own, and do not log in."""
    desk = await seated(site)
    found = {}
    for one in desk.endpoints:
        if one.caller != "nobody":
            path = one.path.replace("{id}", ID).replace("{tenant_id}", ID)
            found[one.method, path] = (await desk.send(one.method, path, body=body)).status
    assert set(found.values()) == {401}


# sessions and links


async def ended(desk: Desk) -> tuple[str, list[str], bytes]:
    """The session that has ended the others, those, and a connection string."""
    await desk.give_password(ADA)
    mine, *others = [await desk.login(ADA) for _ in range(4)]
    field = b"x-mycelium-connection-string: " + (await desk.connection_string(mine)).encode()
    await desk.done("DELETE", "sessions", token=mine)
    return mine, others, field


async def test_one_call_ends_all_other_sessions(site: Site) -> None:
    """However many; the one that asked goes on."""
    desk = await seated(site)
    mine, others, _ = await ended(desk)
    found = [(await desk.send("GET", "/secure/x", bearer(token))).status for token in (mine, *others)]
    assert found == [200, 401, 401, 401]


async def test_the_list_of_sessions_is_that_one_then(site: Site) -> None:
    """Which is marked as the current one."""
    desk = await seated(site)
    mine, _, _ = await ended(desk)
    assert [held["current"] for held in await desk.done("GET", "sessions", token=mine)] == [True]


async def test_connection_strings_go_on(site: Site) -> None:
    """Programs hold them, and have an end of their own."""
    desk = await seated(site)
    _, _, field = await ended(desk)
    assert (await desk.send("GET", "/secure/x", field)).status == 200


async def test_another_account_s_sessions_go_on(site: Site) -> None:
    """Ada ends hers."""
    desk = await seated(site)
    await desk.give_password(BOB)
    bob = (await desk.done("POST", "users/login", {"email": BOB, "password": PASSWORD}))["token"]
    await ended(desk)
    assert (await desk.send("GET", "/auth/x", bearer(bob))).status == 200


async def test_a_telegram_user_is_not_listed_among_the_links(tmp_path: Path) -> None:
    """It has endpoints of its own, and a tenant's bot vouches for it alone."""
    async with opened(tmp_path) as linking:
        ada = await linking.session(await linking.world.ada())
        assert ada.account is not None
        await linking.links.attach(ada.account, ExternalIdentity(f"telegram:{ID}", "42"), "Telegram", ORIGIN)
        listed = (await linking.call("GET", f"{BASE}/users/links", ada)).body
    assert json.loads(listed) == []
