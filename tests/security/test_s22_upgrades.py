"""S-22 to S-24: an upgrade is checked like any request, and becomes an answer, or a tunnel of its own."""

import asyncio

import pytest
from edge.test_tunnel import HANDSHAKE, SWITCH, echo
from harness.client import Client, chunked, request
from harness.people import revoke
from harness.site import ROUTES, Site, until
from harness.upstream import OK, answering

from .ground import GROUPS, PATHS, ground

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = b"Sec-WebSocket-Version: 13"
ASKS = (b"Connection: Upgrade", b"Upgrade: websocket")
SMUGGLED = request("/public/smuggled")


async def ended(client: Client) -> bytes:
    return await asyncio.wait_for(client.rest(), 10)


@pytest.mark.parametrize(
    ("path", "credential", "status", "code"),
    [
        ("/auth/ws", "", 401, "no_credential"),
        ("/secure/ws", "", 401, "no_credential"),
        ("/roles/ws", "", 401, "no_credential"),
        ("/secure/ws", "wrong", 401, "invalid_credential"),
        ("/secure/ws", "revoked", 401, "revoked_credential"),
        ("/secure/ws", "late", 401, "expired_credential"),
        ("/roles/ws", "bob", 403, "role_missing"),
        ("/nowhere", "ada", 404, "no_route"),
        ("/posts/ws", "ada", 405, "method_not_allowed"),
        ("/secure/%2e/ws", "ada", 400, "ambiguous_path"),
    ],
)
async def test_s22_an_upgrade_is_checked_like_any_request(
    site: Site, path: str, credential: str, status: int, code: str
) -> None:
    """The service hears nothing of it, nor of what is sent behind it; the connection ends."""
    upstream = await site.upstream(echo)
    posts = {"path": "/posts/**", "methods": ["POST"], "access": "protected"}
    running = await site.gateway(upstream, routes=[*ROUTES, posts])
    said = {"ada": running.people.ada.field, "bob": running.people.bob.field, "wrong": b"Authorization: Bearer nobody"}
    fields = [said.get(credential, running.people.ada.field)] if credential else []
    if credential == "revoked":
        await revoke(running.people, running.people.ada.grant_id)
    if credential == "late":
        running.hand.ahead = 86_400 * 2
    client = await site.client(running)
    await client.send(request(path, *HANDSHAKE, *fields), b"\x81\x05hello", SMUGGLED)
    answer = await client.answer()
    assert (answer.status, answer.code, answer.one(b"connection")) == (status, code, b"close")
    assert await ended(client) == b""
    assert not upstream.lines


ANSWERS = {
    200: OK,
    201: b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
    204: b"HTTP/1.1 204 No Content\r\n\r\n",
    302: b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
    304: b"HTTP/1.1 304 Not Modified\r\n\r\n",
    400: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    401: b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    403: b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    404: b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    426: b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
    500: b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("status", ANSWERS)
async def test_s22_an_answer_other_than_101_is_no_tunnel(site: Site, status: int) -> None:
    """It is relayed and ends both connections: what the client has sent behind its handshake reaches nobody."""
    upstream = await site.upstream(answering(ANSWERS[status], OK))
    running = await site.gateway(upstream)
    client = await site.client(running)
    await client.send(request("/public/ws", *HANDSHAKE), SMUGGLED)
    answer = await client.answer()
    assert (answer.status, answer.one(b"connection"), answer.all(b"upgrade")) == (status, b"close", [])
    client.writer.write(SMUGGLED)
    assert await ended(client) == b""
    line = upstream.lines[0]
    await asyncio.wait_for(line.ended.wait() if line.ended.is_set() else line.gone(), 10)
    assert b"smuggled" not in line.received
    assert (await (await site.client(running)).ask("/public/next")).status == 200
    assert [(got.target, len(upstream.lines)) for got in upstream.requests] == [
        (b"/public/ws", 2),
        (b"/public/next", 2),
    ]


async def test_s22_what_follows_on_a_tunnel_is_never_a_request(site: Site) -> None:
    """Its connection is one caller's until it ends, and nobody's after that."""
    upstream = await site.upstream(echo)
    running = await site.gateway(upstream)
    client = await site.client(running)
    await client.send(request("/public/ws", *HANDSHAKE))
    assert (await client.head()).status == 101
    await client.send(SMUGGLED)
    assert await client.exactly(len(SMUGGLED)) == SMUGGLED
    other = await site.client(running)
    await other.send(request("/public/ws", *HANDSHAKE))
    assert (await other.head()).status == 101
    client.close()
    await asyncio.wait_for(upstream.lines[0].ended.wait(), 10)
    third = await site.client(running)
    await third.send(request("/public/ws", *HANDSHAKE))
    assert (await third.head()).status == 101
    assert (len(upstream.lines), len(upstream.requests)) == (3, 3)
    assert len(await running.lines()) == 3


@pytest.mark.parametrize("version", [b"12", b"8", b"0", b"", b"13, 12", b"013", b"+13", b"x", b"14", b"13.0"])
async def test_s22_another_version_is_refused_here(site: Site, version: bytes) -> None:
    """With the one that is spoken (RFC 6455 section 4.4)."""
    upstream = await site.upstream(echo)
    client = await site.client(await site.gateway(upstream))
    await client.send(request("/public/ws", *ASKS, KEY, b"Sec-WebSocket-Version: " + version), SMUGGLED)
    answer = await client.answer()
    assert (answer.status, answer.code, answer.one(b"sec-websocket-version")) == (400, "bad_upgrade", b"13")
    assert await ended(client) == b""
    assert not upstream.lines


BAD = [
    (KEY,),
    (VERSION,),
    (),
    (KEY, VERSION, VERSION),
    (KEY, KEY, VERSION),
    (b"Sec-WebSocket-Key:", VERSION),
    (b"Sec-WebSocket-Key: AAAA", VERSION),
    (KEY + b"A", VERSION),
    (KEY.replace(b"==", b""), VERSION),
    (KEY.replace(b"dG", b"d\xff"), VERSION),
]


async def test_s22_half_a_handshake_is_none(site: Site) -> None:
    """Nor one by another method, nor one with a body: 400, and no service hears of it."""
    upstream = await site.upstream(echo)
    running = await site.gateway(upstream)
    whole = (*ASKS, KEY, VERSION)
    sent = [(request("/public/ws", *ASKS, *fields), "bad_upgrade") for fields in BAD]
    sent += [(request("/public/ws", *whole, method=method), "bad_upgrade") for method in ("POST", "PUT", "OPTIONS")]
    chunks = request("/public/ws", *whole, b"Transfer-Encoding: chunked") + chunked(SMUGGLED)
    sent += [(request("/public/ws", *whole, body=SMUGGLED), "upgrade_with_body"), (chunks, "upgrade_with_body")]
    sent += [(request("/public/ws", *whole, body=SMUGGLED, method="POST"), "upgrade_with_body")]
    for raw, code in sent:
        client = await site.client(running)
        await client.send(raw)
        answer = await asyncio.wait_for(client.answer(), 10)
        assert (raw, answer.status, answer.code) == (raw, 400, code)
        assert await ended(client) == b""
    assert not upstream.lines


@pytest.mark.parametrize(
    "fields", [(), (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA")]
)
async def test_s22_a_101_that_nobody_asked_for_is_none(site: Site, fields: tuple[bytes, ...]) -> None:
    """502, its connection is used no more, and the client's bytes go nowhere."""
    h2c = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    for switch in (SWITCH, h2c):
        upstream = await site.upstream(answering(switch + OK, OK))
        running = await site.gateway(upstream)
        client = await site.client(running)
        answer = await client.ask("/public/x", *fields)
        assert (answer.status, answer.code) == (502, "upstream_bad_answer")
        assert (await (await site.client(running)).ask()).status == 200
        assert len(upstream.lines) == 2


H2C = [
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
    (b"Connection: Upgrade", b"Upgrade: h2c"),
    (b"Upgrade: h2c",),
    (b"UPGRADE: H2C", b"connection: UPGRADE"),
    (b"Connection: Upgrade", b"Upgrade: websocket, h2c", KEY, VERSION),
    (b"Connection: Upgrade", b"Upgrade: h2c, websocket", KEY, VERSION),
    (b"Connection: Upgrade", b"Upgrade: h2c", b"Upgrade: websocket", KEY, VERSION),
    (b"Connection: Upgrade", b"Upgrade:  h2c ", b"HTTP2-Settings: "),
    (b"Connection: Upgrade", b"Upgrade: h2"),
    (b"Connection: Upgrade", b"Upgrade: HTTP/2.0, SHTTP/1.3, IRC/6.9, RTA/x11"),
]


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "websocket"])
async def test_s23_h2c_is_taken_out(site: Site, group: str) -> None:
    """The request goes on as if nothing had been said, and so does the connection behind it: no tunnel in it."""
    place = await ground(site)
    plain = await place.arrived(group)
    for fields in H2C:
        credential = () if group == "public" else (place.people.ada.field,)
        client = await site.client(place.running)
        await client.send(request(PATHS[group], *credential, *fields), request("/public/next"))
        assert [(await client.answer()).status, (await client.answer()).status] == [200, 200]
        got = place.upstream.requests[-2]
        assert got.names == plain.names
        client.close()


@pytest.mark.parametrize("behind", [b"", SMUGGLED, b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"])
async def test_s23_http_2_is_not_spoken(site: Site, behind: bytes) -> None:
    """The preface is no request, and what follows it is none either."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    await client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + behind)
    assert (await client.answer()).status == 400
    assert await ended(client) == b""
    assert not upstream.lines


APP = "https://app.example.org"
LISTED = [APP, "https://*.pages.example.org", "http://localhost:3000"]
ORIGINS = [
    (APP, 101),
    ("https://a.pages.example.org", 101),
    ("http://localhost:3000", 101),
    (None, 101),  # no browser: none that has somebody's cookies leaves it out
    ("https://evil.test", 403),
    ("http://app.example.org", 403),
    ("https://app.example.org:8443", 403),
    ("https://app.example.org:443", 403),
    ("https://app.example.org.evil.test", 403),
    ("https://xapp.example.org", 403),
    ("https://sub.app.example.org", 403),
    ("https://app.example.org/", 403),
    ("https://app.example.org@evil.test", 403),
    ("https://evil.test/https://app.example.org", 403),
    ("https://a.b.pages.example.org", 403),
    ("https://pages.example.org", 403),
    ("https://.pages.example.org", 403),
    ("http://localhost", 403),
    ("http://localhost:3001", 403),
    ("null", 403),
    ("", 403),
    (f"{APP} {APP}", 403),
    (f"{APP}, https://evil.test", 403),
    ("https://gateway.test", 403),
    ("file://", 403),
    (f"{APP}\r\nOrigin: {APP}", 403),
    (f"https://evil.test\r\nOrigin: {APP}", 403),
    (f"{APP}\r\norigin: https://evil.test", 403),
]


@pytest.mark.parametrize("access", ["public", "protected"])
async def test_s24_only_listed_pages_open_a_websocket(site: Site, access: str) -> None:
    """With cookies or without, and with a good credential: the service hears of no other page."""
    upstream = await site.upstream(echo)
    routes = [{"path": "/ws", "access": access, "websocket": {"origins": LISTED}}]
    running = await site.gateway(upstream, routes=routes)
    shake = [field for field in HANDSHAKE if not field.startswith(b"Origin")]
    opened = 0
    for origin, status in ORIGINS:
        said = [] if origin is None else [b"Origin: " + origin.encode()]
        client = await site.client(running)
        await client.send(request("/ws", *shake, running.people.ada.field, b"Cookie: session=hers", *said))
        head = await client.head()
        assert (origin, head.status) == (origin, status)
        opened += status == 101
        if status == 403:
            assert b"origin_refused" in await client.body(head)
        client.close()
    await until(lambda: len(upstream.requests) == opened)
    refused = [line for line in await running.lines() if line["status"] == 403]
    assert {line["reason"] for line in refused} == {"origin_refused"}
    assert len(refused) == len(ORIGINS) - opened


async def test_s24_a_page_that_may_not_is_told_before_anybody_is_looked_at(site: Site) -> None:
    """Neither a missing nor a wrong credential changes the answer."""
    routes = [{"path": "/ws", "access": "protected", "websocket": {"origins": [APP]}}]
    running = await site.gateway(await site.upstream(echo), routes=routes)
    shake = [field for field in HANDSHAKE if not field.startswith(b"Origin")]
    for fields in ((), (b"Authorization: Bearer nobody",), (running.people.ada.field,)):
        client = await site.client(running)
        await client.send(request("/ws", *shake, b"Origin: https://evil.test", *fields))
        assert (await client.answer()).code == "origin_refused"
