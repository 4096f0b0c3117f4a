"""What is refused before it is forwarded: every limit on both sides, every reason code, and how a refusal looks."""

import asyncio
import json

import pytest
from harness.client import chunked, request
from harness.site import Site
from harness.upstream import Upstream

CRLF = b"\r\n"


def get(*lines: bytes, first: bytes = b"GET /public/x HTTP/1.1", host: bytes = b"Host: gateway.test") -> bytes:
    return CRLF.join((first, *([host] if host else []), *lines, b"", b""))


KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
UPGRADE = (b"Connection: Upgrade", b"Upgrade: websocket")

REFUSED = {
    "malformed_request": [
        b"GET\r\n\r\n",
        b"get /public/x HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
        b"FROB /public/x HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        get(b"X : 1"),
        get(b" X: 1"),
        get(b"X: 1", b" 2"),
        get(b": 1"),
        get(b"X: a\0b"),
        get(b"X: a\rb"),
        get(b"X: a\x01b"),
        get(b"X: a\x7fb"),
        get(b"X"),
        get(b"X\x80: 1"),
        get(b"Content-Length: 1", b"Content-Length: 1"),
        get(b"Content-Length: 1", b"Content-Length: 2"),
        get(b"Content-Length: 1, 1"),
        get(b"Content-Length: +1"),
        get(b"Content-Length: -1"),
        get(b"Content-Length: 0x1"),
        get(b"Content-Length: 1 1"),
        get(b"Content-Length:"),
        get(b"Content-Length: 99999999999999999999999"),
        get(b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        get(b"Transfer-Encoding: chunked", b"Content-Length: 1"),
        get(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        get(b"Transfer-Encoding: chunked, chunked"),
        get(b"Transfer-Encoding: chunked") + b"z\r\n",
        get(b"Transfer-Encoding: chunked") + b"-1\r\n",
        get(b"Transfer-Encoding: chunked") + b"1\nx\r\n0\r\n\r\n",
        get(b"Transfer-Encoding: chunked") + b"1\r\nxy\r\n0\r\n\r\n",
        get(b"Transfer-Encoding: chunked") + b"FFFFFFFFFFFFFFFFF\r\n",
        get(first=b"GET /public/x HTTP/1.2"),
        get(first=b"GET public HTTP/1.1"),
        get(first=b"GET ftp://gateway.test/public/x HTTP/1.1"),
        get(first=b"GET * HTTP/1.1"),
        get(first=b"GET /public/\x80 HTTP/1.1"),
        get(first=b'GET /public/" HTTP/1.1'),
        b"GET /public/x HTTP/1.1\nHost: gateway.test\n\n",
    ],
    "bad_version": [
        b"GET /public/x\r\n\r\n",  # HTTP/0.9
        get(first=b"GET /public/x HTTP/2.0"),
        get(first=b"GET /public/x RTSP/1.0"),
        get(first=b"SOURCE /public/x ICE/1.0"),
        get(b"X: HTTP/1.0", first=b"GET /public/x RTSP/1.0"),
    ],
    "bad_host": [
        get(host=b""),
        get(b"Host: gateway.test"),
        get(b"host: other.test"),
        get(host=b"Host:"),
        get(host=b"Host: a b"),
        get(host=b"Host: a/b"),
        get(host=b"Host: a@b"),
        get(host=b"Host: a,b"),
        get(host=b"Host: a:b"),
        get(host=b"Host: \xff"),
        get(first=b"GET /public/x HTTP/1.0", host=b""),
    ],
    "authority_mismatch": [
        get(first=b"GET http://other.test/public/x HTTP/1.1"),
        get(first=b"GET http://gateway.test:81/public/x HTTP/1.1"),
    ],
    "bad_framing": [
        get(b"Transfer-Encoding: chunked", first=b"POST /public/x HTTP/1.0"),
        get(b"Transfer-Encoding: gzip, chunked"),
    ],
    "bad_header_name": [
        get(b"X_Mycelium_Profile: 1"),
        get(b"x.mycelium.profile: 1"),
        get(b"x+mycelium~profile: 1"),
        get(b"X_Any: 1"),
    ],
    "method_refused": [
        b"CONNECT gateway.test:80 HTTP/1.1\r\nHost: gateway.test:80\r\n\r\n",
        get(first=b"TRACE /public/x HTTP/1.1"),
    ],
    "ambiguous_path": [
        get(first=b"GET %b HTTP/1.1" % path)
        for path in (
            b"/public/../secure/x",
            b"/public/./x",
            b"/public//x",
            b"/public/%2e%2e/secure/x",
            b"/public/..%2fsecure",
            b"/public/%2Fx",
            b"/public/%5Cx",
            b"/public/\\x",
            b"/public/x;y=1",
            b"/public/%25x",
            b"/public/%00",
            b"/public/%zz",
            b"/public/%",
            b"/public/x#/secure",
            b"/%70ublic/x",
            b"/public/%c0%af",
        )
    ],
    "duplicate_credential": [
        get(b"Authorization: Bearer a", b"authorization: Bearer a"),
        get(b"x-mycelium-connection-string: a", b"X-Mycelium-Connection-String: a"),
        get(b"x-mycelium-tenant-id: a", b"x-mycelium-tenant-id: b"),
    ],
    "upgrade_with_body": [
        get(*UPGRADE, KEY, b"Sec-WebSocket-Version: 13", b"Content-Length: 5") + b"hello",
        get(*UPGRADE, KEY, b"Sec-WebSocket-Version: 13", b"Transfer-Encoding: chunked") + chunked(b"x"),
        get(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 5") + b"hello",
    ],
    "bad_upgrade": [
        get(*UPGRADE),
        get(*UPGRADE, KEY),
        get(*UPGRADE, b"Sec-WebSocket-Version: 13"),
        get(*UPGRADE, KEY, b"Sec-WebSocket-Version: 12"),
        get(*UPGRADE, KEY, KEY, b"Sec-WebSocket-Version: 13"),
        get(*UPGRADE, b"Sec-WebSocket-Key: AAAA", b"Sec-WebSocket-Version: 13"),
        get(*UPGRADE, KEY, b"Sec-WebSocket-Version: 13", first=b"POST /public/x HTTP/1.1"),
    ],
}  # fmt: skip
ROWS = [(code, sent) for code, rows in REFUSED.items() for sent in rows]


@pytest.fixture
async def upstream(site: Site) -> Upstream:
    return await site.upstream()


@pytest.mark.parametrize(("code", "sent"), ROWS, ids=[f"{code}-{n}" for n, (code, _) in enumerate(ROWS)])
async def test_what_cannot_be_read_in_one_way_is_400(site: Site, upstream: Upstream, code: str, sent: bytes) -> None:
    """With its reason code; the connection is closed, and no byte of it reaches the upstream."""
    client = await site.client(await site.gateway(upstream))
    await client.send(sent)
    answer = await asyncio.wait_for(client.answer(), 10)
    assert (answer.status, answer.code, answer.one(b"connection")) == (400, code, b"close")
    assert await client.rest() == b""
    assert not any(
        b"HTTP/1.1\r\n\r\n" in line.received or line.received.endswith(b"0\r\n\r\n") for line in upstream.lines
    )
    assert not upstream.requests


@pytest.mark.parametrize("at", range(1, 40, 3))
async def test_a_bad_request_is_refused_however_it_is_split(site: Site, upstream: Upstream, at: int) -> None:
    """Here: another protocol of the same shape."""
    client = await site.client(await site.gateway(upstream))
    await client.trickle(get(first=b"GET /public/x RTSP/1.0"), at)
    assert (await client.answer()).code == "bad_version"


async def _statuses(site: Site, listen: dict[str, object], *sent: bytes) -> list[int]:
    running = await site.gateway(await site.upstream(), listen={"limits": listen})
    statuses = []
    for one in sent:
        client = await site.client(running)
        await client.send(one)
        answer = await client.answer()
        assert answer.status == 200 or await client.rest() == b""
        statuses.append(answer.status)
    return statuses


async def test_a_field_may_have_its_limit_and_no_more(site: Site) -> None:
    """Name, colon, space, value and line end: 1000 bytes, or 431."""
    fields = [get(b"X: " + b"x" * (size - 5)) for size in (1000, 1001)]
    assert await _statuses(site, {"field": "1000B"}, *fields) == [200, 431]


async def test_a_head_may_have_its_limit_and_no_more(site: Site) -> None:
    """All of it, with the request line and the empty line: 4000 bytes, or 431."""
    frame = len(get(b"X: "))
    heads = [get(b"X: " + b"x" * (size - frame)) for size in (4000, 4001)]
    assert [len(head) for head in heads] == [4000, 4001]
    assert await _statuses(site, {"head": "4000B"}, *heads) == [200, 431]


async def test_a_head_has_so_many_fields_and_no_more(site: Site) -> None:
    """100, with Host; the next is 431."""
    heads = [get(*(b"X-%d: 1" % number for number in range(count - 1))) for count in (100, 101)]
    assert await _statuses(site, {}, *heads) == [200, 431]


async def test_a_target_may_have_its_limit_and_no_more(site: Site) -> None:
    """1000 bytes, or 414."""
    heads = [request("/public/" + "x" * (size - 8)) for size in (1000, 1001)]
    assert await _statuses(site, {"target": "1000B"}, *heads) == [200, 414]


@pytest.mark.parametrize("size", [9_000, 40_000, 200_000])
async def test_a_target_far_over_the_limit_is_414(site: Site, size: int) -> None:
    """Whether or not its end is ever seen."""
    assert await _statuses(site, {}, request("/public/" + "x" * size)) == [414]


async def test_the_usual_limits(site: Site) -> None:
    """8 KiB a field and a target, 32 KiB a head."""
    field = [get(b"X: " + b"x" * (8192 - 5 + more)) for more in (0, 1)]
    target = [request("/public/" + "x" * (8192 - 8 + more)) for more in (0, 1)]
    five = [b"X: " + b"x" * 6000] * 5
    frame = len(get(*five, b"Y: "))
    head = [get(*five, b"Y: " + b"x" * (32768 - frame + more)) for more in (0, 1)]
    assert await _statuses(site, {}, *field, *target, *head) == [200, 431, 200, 414, 200, 431]


@pytest.mark.parametrize(
    "endless",
    [b"X: " + b"x" * 997 + b"\r\n", b"x" * 1000, b"X: 1\r\n" * 100],
    ids=["fields", "one-field", "small-fields"],
)
async def test_a_head_without_end_is_431(site: Site, upstream: Upstream, endless: bytes) -> None:
    """It is read for a little more than the limit."""
    client = await site.client(await site.gateway(upstream))
    client.writer.write(get()[:-2] + (b"X: " if b":" not in endless else b"") + endless * 300)
    assert (await asyncio.wait_for(client.answer(), 10)).code == "head_too_large"


@pytest.mark.parametrize(
    "endless", [b"1;" + b"e" * 100_000, b"1\r\nx\r\n0\r\n" + b"X: 1\r\n" * 20_000], ids=["extension", "trailers"]
)
async def test_chunked_framing_without_end_is_400(site: Site, upstream: Upstream, endless: bytes) -> None:
    """The parser has no limit of its own for it."""
    client = await site.client(await site.gateway(upstream))
    client.writer.write(get(b"Transfer-Encoding: chunked", first=b"POST /public/x HTTP/1.1") + endless)
    assert (await asyncio.wait_for(client.answer(), 10)).code == "bad_framing"
    assert not upstream.requests


async def test_an_expectation_that_nobody_knows_is_417(site: Site, upstream: Upstream) -> None:
    """RFC 9110 section 10.1.1."""
    client = await site.client(await site.gateway(upstream))
    answer = await client.ask("/public/x", b"Expect: 200-ok")
    assert (answer.status, answer.code) == (417, "expectation_failed")


@pytest.mark.parametrize(
    ("path", "method", "status", "code"),
    [
        ("/nowhere", "GET", 404, "no_route"),
        ("/secure/x", "GET", 401, "no_credential"),
        ("/secure/x", "OPTIONS", 405, "method_not_allowed"),
        ("/public/x", "PURGE", 405, "method_not_allowed"),
    ],
)
async def test_a_refusal_that_was_read_keeps_the_connection(
    site: Site, upstream: Upstream, path: str, method: str, status: int, code: str
) -> None:
    """Only what cannot be understood ends it."""
    client = await site.client(await site.gateway(upstream))
    answer = await client.ask(path, method=method)
    assert (answer.status, answer.code, answer.all(b"connection")) == (status, code, [])
    assert (await client.ask()).status == 200


async def test_a_405_names_the_methods(site: Site, upstream: Upstream) -> None:
    """RFC 9110 section 15.5.6; HEAD goes with GET."""
    client = await site.client(await site.gateway(upstream))
    allowed = (await client.ask("/auth/x", method="OPTIONS")).one(b"allow")
    assert set(allowed.split(b", ")) == {b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE"}


async def test_a_401_carries_the_challenge(site: Site, upstream: Upstream) -> None:
    """RFC 6750 section 3: with an error where a credential was sent, bare where none was."""
    client = await site.client(await site.gateway(upstream))
    assert (await client.ask("/auth/x")).one(b"www-authenticate") == b"Bearer"
    answer = await client.ask("/auth/x", b"Authorization: Bearer x")
    assert answer.one(b"www-authenticate") == b'Bearer error="invalid_token"'


async def test_a_refusal_is_problem_json(site: Site, upstream: Upstream) -> None:
    """RFC 9457, with the reason code and the request id that the header has too."""
    client = await site.client(await site.gateway(upstream))
    answer = await client.ask("/nowhere")
    problem = json.loads(answer.body)
    assert answer.one(b"content-type") == b"application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert problem["request_id"].encode() == answer.one(b"x-mycelium-request-id")


async def test_a_refused_head_has_no_body(site: Site, upstream: Upstream) -> None:
    """Its length is told all the same, and the next answer is not eaten."""
    client = await site.client(await site.gateway(upstream))
    await client.send(request("/nowhere", method="HEAD"), request())
    assert int((await client.answer("HEAD")).one(b"content-length")) > 0
    assert (await client.answer()).body == b"ok"


@pytest.mark.parametrize("line", [b"X_Y: 1", b"X: a\rb", b"X: " + b"x" * 9000])
async def test_a_head_that_cannot_be_read_gets_no_body(site: Site, line: bytes) -> None:
    """RFC 9110 section 9.3.2: its method was read, if nothing else."""
    client = await site.client(await site.gateway(await site.upstream()))
    await client.send(get(line, first=b"HEAD /public/x HTTP/1.1"))
    assert (await client.answer("HEAD")).status in (400, 431)
    assert await client.rest() == b""


async def test_what_follows_a_head_is_not_taken_for_one(site: Site) -> None:
    """Bytes that are no request at all are told what is wrong with them."""
    client = await site.client(await site.gateway(await site.upstream()))
    await client.send(request(method="HEAD") + b"\x16\x03\x01")
    assert (await client.answer("HEAD")).status == 200
    assert (await client.answer()).code == "malformed_request"


async def test_a_refusal_holds_nothing_of_the_request(site: Site, upstream: Upstream) -> None:
    """Neither path nor field nor credential is echoed (S-21)."""
    client = await site.client(await site.gateway(upstream))
    await client.send(
        get(b"Authorization: Bearer secret-in-field", first=b"GET /secret-in-path?secret-in-query HTTP/1.1")
    )
    await client.send(get(b"secret-in-field : 1"))
    assert b"secret" not in await client.rest()


async def test_a_refusal_of_a_body_under_way_closes(site: Site, upstream: Upstream) -> None:
    """The rest of the body is not read as a request."""
    client = await site.client(await site.gateway(upstream))
    await client.send(request("/secure/x", b"Content-Length: 1000", method="POST"), request("/public/smuggled"))
    assert (await client.answer()).one(b"connection") == b"close"
    assert await client.rest() == b""
    assert not upstream.requests


async def test_a_route_may_speak_a_dialects_errors(site: Site, upstream: Upstream) -> None:
    """`errors: mployr` gives its envelope."""
    client = await site.client(await site.gateway(upstream, route={"errors": "mployr"}))
    answer = await client.ask("/auth/x")
    assert (answer.status, json.loads(answer.body)) == (401, {"success": False, "message": "Unauthenticated."})


@pytest.mark.parametrize(("path", "status"), [("/auth/%2f", 400), ("/auth/x", 502)])
async def test_a_dialects_errors_are_for_401_and_403_alone(site: Site, path: str, status: int) -> None:
    """Everything else of the route is a problem, as everywhere."""
    running = await site.gateway("http://127.0.0.1:1", route={"errors": "mployr"})
    answer = await (await site.client(running)).ask(path, running.people.ada.field)
    assert (answer.status, answer.one(b"content-type")) == (status, b"application/problem+json")
    assert json.loads(answer.body)["status"] == status


async def test_an_old_client_is_told_that_a_refusal_leaves_its_connection_open(site: Site, upstream: Upstream) -> None:
    """Without that word it has to believe that the connection ends (RFC 9112 section 9.3)."""
    client = await site.client(await site.gateway(upstream))
    for _ in range(2):
        answer = await client.ask("/nowhere", b"Connection: keep-alive", version="HTTP/1.0")
        assert (answer.status, answer.one(b"connection")) == (404, b"keep-alive")


async def test_what_a_closing_refusal_leaves_behind_is_not_served(site: Site, upstream: Upstream) -> None:
    """A request that came together with one that ended the connection must not be carried out: nobody hears of it."""
    running = await site.gateway(upstream, route={"limits": {"body": "1B"}})
    client = await site.client(running)
    await client.send(request(method="POST", body=b"12"), request("/public/after"))
    assert (await client.answer()).status == 413
    assert await client.rest() == b""
    await (await site.client(running)).ask("/public/other")
    assert [got.target for got in upstream.requests] == [b"/public/other"]
