"""S-38: what a page of another site can make a browser send changes nothing here; and no body makes us stumble."""

import json
from collections.abc import Mapping
from itertools import product

import pytest
from harness.client import Answer
from harness.site import Site
from identity.core.desk import ADA, BASE, BOB, JSON, Desk, bearer, seated

from gateway.login.dialect import Endpoint

ID = "0b5f1d0e-6f0a-4c66-9a83-4a4f7f0d9b11"
# CORS-safelisted, so that no browser asks before it sends them (Fetch, section 2.2.2); and what is near JSON.
TYPES = (
    None,
    b"",
    b"text/plain",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x",
    b"text/json",
    b"application/jsonp",
    b"application/problem+json",
    b"text/plain; application/json",
)
VALUES: tuple[object, ...] = (
    "", "\ud800", "\0", "a\r\nb: c", "x" * 8000, "１２３４５６", 0, -1, 1.5, True, None, [], ["a"], {}, {"a": 1},
    10**12, 10**18, 10**400, -(10**400), 1e308, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00",
)  # fmt: skip
# What each endpoint reads, by the end of its path.
READ: Mapping[str, tuple[str, ...]] = {
    "magic-link/request": ("email",),
    "magic-link/verify": ("email", "code", "token"),
    "users/login": ("email", "password"),
    "start-password-reset": ("email",),
    "reset-password": ("email", "token", "newPassword"),
    "users/password": ("currentPassword", "newPassword"),
    "validate-app": ("token",),
    "check-token": ("token",),
    "disable": ("token",),
    "recovery-codes": ("token",),
    "beginners/tokens": ("tenantId", "accountId", "role", "roles", "name", "expiresAt", "expiration"),
    "users/links": ("token",),
    "telegram/config": ("botToken", "webhookSecret", "role", "lifetime"),
    "telegram/link": ("initData",),
    "telegram/login/{tenant_id}": ("initData",),
}


async def with_type(desk: Desk, method: str, path: str, kind: bytes | None, token: str) -> Answer:
    fields = [] if kind is None else [b"Content-Type: " + kind]
    return await desk.send(method, path, bearer(token), *fields, body=json.dumps({"email": ADA}).encode())


@pytest.mark.parametrize("kind", TYPES)
async def test_s38_a_body_that_is_not_called_json_is_415(site: Site, kind: bytes | None) -> None:
    """At every endpoint that reads one."""
    desk = await seated(site)
    found = {}
    for one in desk.endpoints:
        if one.body == "json":
            path = one.path.replace("{tenant_id}", desk.running.people.tenant_id).replace("{id}", ID)
            found[path] = (await with_type(desk, one.method, path, kind, desk.running.people.ada.token)).status
    assert set(found.values()) == {415}


@pytest.mark.parametrize("kind", [b"application/json", b"Application/JSON", b"application/json; charset=utf-8"])
async def test_s38_json_is_json_with_or_without_a_charset(site: Site, kind: bytes) -> None:
    """And however it is written."""
    desk = await seated(site)
    assert (await with_type(desk, "POST", f"{BASE}/users/magic-link/request", kind, "")).status == 200


@pytest.mark.parametrize(
    ("sent", "status"), [(b"cross-site", 403), (b"same-site", 403), (b"same-origin", 200), (b"none", 200), (None, 200)]
)
async def test_s38_the_button_is_pressed_on_our_own_page(site: Site, sent: bytes | None, status: int) -> None:
    """A form of another site cannot press it. What is no browser sends no Sec-Fetch-Site."""
    desk = await seated(site)
    token = await desk.link(BOB)
    fields = [] if sent is None else [b"Sec-Fetch-Site: " + sent]
    answer = await desk.send("POST", f"{BASE}/users/magic-link/display/{token}", *fields, body=b"")
    assert answer.status == status


async def test_s38_a_link_may_be_opened_from_a_mail_in_the_browser(site: Site) -> None:
    """Which is another site, and changes nothing."""
    desk = await seated(site)
    field = b"Sec-Fetch-Site: cross-site"
    assert (await desk.send("GET", f"{BASE}/users/magic-link/display/{await desk.link(BOB)}", field)).status == 200


async def test_s38_no_answer_sets_a_cookie_or_lets_another_origin_read(site: Site) -> None:
    """There is no ambient credential to be ridden on."""
    desk = await seated(site)
    await desk.give_password(ADA)
    body = json.dumps({"email": ADA, "password": "correct horse battery"}).encode()
    answer = await desk.send("POST", f"{BASE}/users/login", JSON, b"Origin: https://evil.example", body=body)
    assert (answer.all(b"set-cookie"), answer.all(b"access-control-allow-origin")) == ([], [])


async def test_no_value_in_a_body_makes_the_gateway_fail(site: Site) -> None:
    """Wherever it stands: it is refused, or taken for what it is."""
    desk = await seated(site)
    people = desk.running.people
    good = {"email": BOB, "tenantId": people.tenant_id, "role": "manager", "expiration": 3600, "code": "000000"}
    site.expected_errors = True  # what fails is in the answers, each with its place
    found = {}
    for one in desk.endpoints:
        path = one.path.replace("{tenant_id}", people.tenant_id)
        for name, value in product(read_by(one), VALUES):
            answer = await desk.call(one.method, path, {**good, name: value}, people.ada.token)
            found[path, name, ascii(value)[:40]] = answer.status
    assert {place: status for place, status in found.items() if status >= 500} == {}


def read_by(endpoint: Endpoint) -> tuple[str, ...]:
    """Raises StopIteration for an endpoint that is not in the table yet."""
    if endpoint.body != "json":
        return ()
    return next(names for end, names in READ.items() if endpoint.path.endswith(end))


async def test_s38_every_form_is_pressed_on_our_own_page(site: Site) -> None:
    """By the table: whatever takes a form, which other sites' pages can send, refuses theirs."""
    desk = await seated(site, login={"navak": {"registration": "open"}, "mycelium": {}})
    found = {}
    for one in desk.endpoints:
        if one.body == "form":
            path = one.path.replace("{token}", "x" * 43).replace("{link}", "x" * 43)
            kind = b"Content-Type: application/x-www-form-urlencoded"
            for where in (b"cross-site", b"same-site"):
                answer = await desk.send(one.method, path, kind, b"Sec-Fetch-Site: " + where, body=b"decision=approve")
                found[path, where] = answer.status
    assert (set(found.values()), len(found)) == ({403}, 6)


async def test_s38_a_form_logs_nobody_in(site: Site) -> None:
    """Login CSRF: a page that would log its visitor in to the attacker's account can send no JSON unasked."""
    desk = await seated(site)
    await desk.give_password(ADA)
    body = b'{"email":"ada@example.org","password":"correct horse battery","x":"="}'
    kinds = (b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x")
    found = [
        await desk.send(
            "POST", f"{BASE}/users/login", b"Content-Type: " + kind, b"Origin: http://evil.example", body=body
        )
        for kind in kinds
    ]
    asked = await desk.send(
        "OPTIONS", f"{BASE}/users/login", b"Origin: http://evil.example", b"Access-Control-Request-Method: POST",
        b"Access-Control-Request-Headers: content-type",
    )  # fmt: skip
    assert ({answer.status for answer in found}, asked.all(b"access-control-allow-origin")) == ({415}, [])


async def test_s38_the_cookie_of_half_a_login_takes_no_form(site: Site) -> None:
    """Pipelit's, the one call that a cookie goes with: JSON like all others."""
    desk = await seated(site, login={"pipelit": {}})
    body = b'{"username":"ada","code":"000000"}'
    cookie = b"Cookie: pipelit_mfa=" + b"x" * 43
    path = "/api/v1/auth/mfa/login-verify/"
    found = [(await desk.send("POST", path, cookie, b"Content-Type: text/plain", body=body)).status]
    found.append((await desk.send("POST", path, cookie, JSON, body=body)).status)
    assert found == [415, 401]
