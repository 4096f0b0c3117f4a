"""S-8: what a stranger says about who asks, from where and for what has no effect."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from harness.client import request
from harness.site import Site
from identity.core.desk import ADA, BASE, BOB, JSON, PASSWORD, plain, seated

from .ground import ground

ADDRESSES = (
    b"X-Forwarded-For X-Real-IP True-Client-IP X-Client-IP X-Cluster-Client-IP X-Forwarded-By X-Forwarded-Server"
).split()
PROTOS = (
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Scheme: https",
    b"X-Forwarded-Ssl: on",
    b"X-Forwarded-Port: 443",
    b"Front-End-Https: on",
    b"Forwarded: proto=https",
)
HOSTS = (
    b"X-Forwarded-Host: open.test",
    b"X-Original-Host: open.test",
    b"X-Forwarded-Server: open.test",
    b"Forwarded: host=open.test",
    b'Forwarded: for=10.9.9.9;host="open.test";proto=https',
)
TARGETS = tuple(
    b"%b: %b" % (name, target)
    for name in b"X-Original-URL X-Original-URI X-Rewrite-URL X-Forwarded-Uri X-Forwarded-Prefix".split()
    for target in (b"/public/x", b"http://gateway.test/public/x")
)
METHODS = tuple(
    name + b": GET"
    for name in b"X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-Original-Method X-Forwarded-Method".split()
)


def addresses(number: int) -> list[bytes]:
    """Every way to claim an address, another one each time."""
    claimed = b"198.51.100.%d" % number
    plain = [name + b": " + claimed for name in ADDRESSES]
    return [*plain, b"Forwarded: for=" + claimed, b'Forwarded: for="[2001:db8::%d]"' % number]


CLAIMS = (*addresses(7), *PROTOS, *HOSTS, *TARGETS, *METHODS)


@pytest.mark.parametrize("path", ["/public/x", "/auth/x", "/secure/x", "/roles/x"])
async def test_s08_an_upstream_is_told_what_was_seen(site: Site, path: str) -> None:
    """Each claim alone, and all at once: the request that arrives is that of a client that claims nothing."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    changing = (b"traceparent", b"x-mycelium-request-id", b"x-mycelium-assertion")
    arrived = []
    for claims in ((), *((claim,) for claim in CLAIMS), CLAIMS):
        assert (await client.ask(path, running.people.ada.field, *claims)).status == 200
        got = upstream.requests[-1]
        arrived.append((got.target, [field for field in got.fields if field[0] not in changing]))
    assert all(one == arrived[0] for one in arrived)
    fields = dict(arrived[0][1])
    assert (fields[b"X-Forwarded-For"], fields[b"X-Forwarded-Proto"], fields[b"X-Forwarded-Host"]) == (
        b"127.0.0.1",
        b"http",
        b"gateway.test",
    )
    assert fields[b"Forwarded"] == b'for=127.0.0.1;proto=http;host="gateway.test"'
    assert {line["client"] for line in await running.lines()} == {"127.0.0.1"}


async def test_s08_the_log_has_what_was_seen(site: Site) -> None:
    """Address, method, host, path and route, of requests that pass and of refusals."""
    running = await site.gateway(await site.upstream())
    for path, status in (("/secure/x", 401), ("/nowhere", 404), ("/public/%2e", 400), ("/public/x", 200)):
        for claims in (*((claim,) for claim in CLAIMS), CLAIMS):
            client = await site.client(running)
            assert (await client.ask(path, *claims)).status == status
            client.close()
    lines = await running.lines()
    shown = {(line["client"], line["method"], line["host"], line["path"], line["route"]) for line in lines}
    assert shown == {
        ("127.0.0.1", "GET", "gateway.test", "/secure/x", "/secure/**"),
        ("127.0.0.1", "GET", "gateway.test", "/nowhere", "none"),
        ("127.0.0.1", "", None, None, "none"),
        ("127.0.0.1", "GET", "gateway.test", "/public/x", "DELETE,GET,OPTIONS,POST,PUT /public/**"),
    }


def choices() -> Iterator[tuple[str, list[dict[str, Any]], bytes, tuple[bytes, ...]]]:
    """What is refused without a credential, and beside it what a believed claim would open."""
    closed = {"path": "/x/**", "access": "protected"}
    get = request("/x/1")
    yield "host", [closed, {"path": "/x/**", "access": "public", "host": "open.test"}], get, HOSTS
    yield "path", [closed, {"path": "/public/**", "access": "public"}], get, TARGETS
    methods = [{**closed, "methods": ["POST"]}, {**closed, "methods": ["GET"], "access": "public"}]
    yield "method", methods, request("/x/1", method="POST", body=b""), METHODS
    roles = {"roles": [{"role": "manager", "permission": "write"}]}
    yield "rule", [{**closed, "access": roles}, {"path": "/public/**", "access": "public"}], get, CLAIMS


@pytest.mark.parametrize(("routes", "sent", "claims"), [c[1:] for c in choices()], ids=[c[0] for c in choices()])
async def test_s08_no_other_route_or_rule_holds(
    site: Site, routes: list[dict[str, Any]], sent: bytes, claims: tuple[bytes, ...]
) -> None:
    """A credential is wanted all the same."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream, routes=routes))
    for said in (*((claim,) for claim in claims), claims):
        await client.send(sent.replace(b"\r\n\r\n", b"\r\n%b\r\n\r\n" % b"\r\n".join(said)))
        answer = await client.answer()
        assert (answer.status, answer.code) == (401, "no_credential")
    assert not upstream.requests


@pytest.mark.parametrize("place", range(len(addresses(0))))
async def test_s08_no_new_count_of_requests_is_begun(site: Site, place: int) -> None:
    """Limits by address go by the socket's, whichever header claims another one each time."""
    rate = {"by": "address", "at_most": 2, "in": "7d"}
    routes = [{"path": "/public/**", "access": "public", "limits": {"rate": [rate]}}]
    client = await site.client(await site.gateway(await site.upstream(), routes=routes))
    found = [(await client.ask("/public/x", addresses(number)[place])).status for number in range(1, 4)]
    assert found == [200, 200, 429]


async def test_s08_no_new_count_of_guesses_is_begun(site: Site) -> None:
    """Wrong passwords from claimed addresses are wrong passwords of one."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    statuses = [401]
    while statuses[-1] == 401 and len(statuses) < 60:
        number = len(statuses)
        body = json.dumps({"email": f"nobody{number}@example.org", "password": "wrong"}).encode()
        fields = (JSON, *addresses(number))
        statuses.append((await client.ask(f"{BASE}/users/login", *fields, method="POST", body=body)).status)
    assert statuses[-1] == 429


@pytest.mark.parametrize(("public_url", "secure"), [("http://gateway.test", False), ("https://gateway.test", True)])
async def test_s08_a_cookie_is_secure_by_the_configuration(site: Site, public_url: str, secure: bool) -> None:
    """Neither made so nor kept from it: `public_url` says whether there is TLS in front."""
    desk = await seated(site, public_url=public_url, login={"pipelit": {}})
    await desk.give_password(ADA)
    await desk.enrol(await desk.login(ADA))
    body = json.dumps({"username": "ada", "password": PASSWORD}).encode()
    claims = (*PROTOS, b"X-Forwarded-Proto: http", b"X-Forwarded-Port: 80", b"Forwarded: proto=http")
    for said in ((), *((claim,) for claim in claims)):
        answer = await desk.send("POST", "/api/v1/auth/token/", JSON, *said, body=body)
        cookie = answer.one(b"set-cookie").split(b"; ")
        assert (answer.status, b"Secure" in cookie, b"SameSite=Strict" in cookie) == (200, secure, True)


async def test_s08_links_in_mails_are_those_of_the_configuration(site: Site) -> None:
    """And where the mail says that it was asked for from is where it was."""
    desk = await seated(site)
    for said in (*((claim,) for claim in (*addresses(7), *PROTOS, *HOSTS, *TARGETS)), CLAIMS):
        before = set(desk.outbox.glob("*.eml"))
        fields = (JSON, *said)
        body = json.dumps({"email": BOB}).encode()
        assert (await desk.send("POST", f"{BASE}/users/magic-link/request", *fields, body=body)).status == 200
        await desk.quiet()
        (mail,) = set(desk.outbox.glob("*.eml")) - before
        text = plain(mail)
        assert "http://gateway.test/_adm/beginners/users/magic-link/display/" in text
        assert "127.0.0.1" in text
        assert not any(word in mail.read_text() for word in ("open.test", "198.51.100", "2001:db8", "https:"))


async def test_s08_a_session_is_of_the_address_that_was_seen(site: Site) -> None:
    """In the list that its owner sees."""
    desk = await seated(site)
    await desk.give_password(ADA)
    body = json.dumps({"email": ADA, "password": PASSWORD}).encode()
    claims = (*addresses(7), b"X-Gateway-Peer: 198.51.100.7")
    for claim in claims:
        assert (await desk.send("POST", f"{BASE}/users/login", JSON, claim, body=body)).status == 200
    found = await desk.done("GET", "sessions", token=await desk.login(ADA))
    assert [session["ip"] for session in found] == ["127.0.0.1"] * (len(claims) + 1)


@pytest.mark.parametrize("group", ["websocket", "login"])
async def test_s08_nor_on_a_websocket_or_at_a_login(site: Site, group: str) -> None:
    """Our own application is told the same as without."""
    place = await ground(site)
    changing = (b"traceparent", b"x-mycelium-request-id", b"x-mycelium-assertion", b"x-gateway-request-id")
    told = {b"x-gateway-direct"}  # that something was claimed at all: what wants a direct caller is not for this one
    arrived = []
    for claims in ((), *((claim,) for claim in CLAIMS), CLAIMS):
        got = await place.arrived(group, *claims)
        arrived.append([field for field in got.fields if field[0] not in (*changing, *told)])
    assert all(one == arrived[0] for one in arrived)
