"""Header rules and security headers on the wire, with real upstreams."""

from pathlib import Path
from typing import Any

import pytest
from harness.certificates import Authority
from harness.client import Answer
from harness.site import Running, Site
from harness.upstream import Got, Upstream, answering

SECRET = b"s3cret-key"


async def through(
    site: Site, *fields: bytes, answer: bytes | None = None, path: str = "/secure/x", **route: Any
) -> tuple[Got, Answer]:
    """What the upstream got, and what the client got."""
    upstream = await site.upstream(answering(answer) if answer else None)
    running = await site.gateway(upstream, route=route)
    got = await (await site.client(running)).ask(path, running.people.ada.field, *fields)
    return upstream.requests[0], got


async def test_the_rules_of_a_request(site: Site) -> None:
    """In the place of the client's, beside it, and out."""
    rules = {"set": {"x-a": "ours"}, "add": {"x-b": "ours"}, "remove": ["cookie"]}
    got, _ = await through(site, b"X-A: theirs", b"x-B: theirs", b"Cookie: a=b", headers={"request": rules})
    assert (got.all(b"x-a"), got.all(b"x-b"), got.all(b"cookie")) == ([b"ours"], [b"theirs", b"ours"], [])


async def test_a_secret_goes_to_the_upstream_alone(site: Site, tmp_path: Path) -> None:
    """As its own credential; the caller's does not go with it."""
    (tmp_path / "key").write_bytes(b"Basic " + SECRET + b"\n")
    rules = {"set": {"authorization": {"file": str(tmp_path / "key")}}}
    got, answer = await through(site, headers={"request": rules})
    assert got.one(b"authorization") == b"Basic " + SECRET
    assert SECRET not in answer.body
    assert SECRET not in b"".join(value for _, value in answer.fields)


async def test_the_rules_of_an_answer(site: Site) -> None:
    """As those of a request; what the gateway says itself stays."""
    rules = {"set": {"cache-control": "no-store"}, "add": {"x-b": "ours"}, "remove": ["server"]}
    raw = b"HTTP/1.1 200 OK\r\nServer: x/1\r\nX-B: theirs\r\nCache-Control: public\r\nContent-Length: 0\r\n\r\n"
    _, answer = await through(site, answer=raw, headers={"response": rules})
    assert (answer.all(b"server"), answer.all(b"x-b")) == ([], [b"theirs", b"ours"])
    assert answer.one(b"cache-control") == b"no-store"
    assert len(answer.one(b"x-mycelium-request-id")) == 36


async def test_a_refusal_of_the_gateway_is_no_answer_of_the_upstream(site: Site) -> None:
    """The route's rules are about that; ours has headers of its own."""
    running = await site.gateway(
        await site.upstream(),
        route={"headers": {"response": {"set": {"cache-control": "public"}}}, "security_headers": {}},
    )
    answer = await (await site.client(running)).ask("/secure/x")
    assert answer.status == 401
    found = {name: answer.all(name) for name in (b"cache-control", b"x-content-type-options", b"referrer-policy")}
    assert found == {
        b"cache-control": [b"no-store"],
        b"x-content-type-options": [b"nosniff"],
        b"referrer-policy": [b"no-referrer"],
    }


async def test_answers_of_an_upstream_are_left_alone_unless_the_route_asks(site: Site) -> None:
    """No header of ours but the request's id."""
    _, answer = await through(site)
    assert {name.lower() for name, _ in answer.fields} == {b"content-length", b"x-mycelium-request-id"}


async def test_security_headers_where_the_upstream_has_none(site: Site) -> None:
    """What it says itself is left as it is."""
    raw = b"HTTP/1.1 200 OK\r\nX-Frame-Options: SAMEORIGIN\r\nContent-Length: 0\r\n\r\n"
    _, answer = await through(site, answer=raw, security_headers={})
    assert answer.all(b"x-frame-options") == [b"SAMEORIGIN"]
    assert answer.one(b"x-content-type-options") == b"nosniff"
    assert answer.one(b"referrer-policy") == b"strict-origin-when-cross-origin"


async def test_the_rules_hold_on_a_repeated_request(site: Site) -> None:
    """The second one is decided from memory."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, route={"headers": {"request": {"set": {"x-a": "ours"}}}})
    client = await site.client(running)
    for _ in range(2):
        await client.ask("/secure/x", running.people.ada.field, b"X-A: theirs")
    assert [got.all(b"x-a") for got in upstream.requests] == [[b"ours"]] * 2


async def test_a_reload_changes_the_rules(site: Site) -> None:
    """A key that was changed in its file goes out after it."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    await client.ask("/public/x", b"X-A: theirs")
    running.write(site.said(upstream, route={"headers": {"request": {"remove": ["x-a"]}}}))
    await running.gateway.reload()
    await client.ask("/public/x", b"X-A: theirs")
    assert [got.all(b"x-a") for got in upstream.requests] == [[b"theirs"], []]


# Strict-Transport-Security


async def secure(site: Site, tmp_path: Path, **hsts: Any) -> tuple[Running, Authority]:
    authority = Authority(tmp_path)
    cert, key = authority.issue("gateway.test")
    raw = b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 0\r\n\r\n"
    upstream: Upstream = await site.upstream(answering(raw))
    listen = {"tls": {"cert": str(cert), "key": str(key)}, "security_headers": hsts}
    return await site.gateway(upstream, listen=listen), authority


@pytest.mark.parametrize(
    ("path", "status"), [("/public/x", 200), ("/secure/x", 401), ("/nowhere", 404), ("/_adm/beginners/profile", 401)]
)
async def test_every_answer_says_for_how_long_tls_holds(site: Site, tmp_path: Path, path: str, status: int) -> None:
    """Once, whosever the answer is."""
    running, authority = await secure(site, tmp_path, hsts="1d", hsts_subdomains=True)
    answer = await (await site.client(running, authority.client())).ask(path)
    assert (answer.status, answer.all(b"strict-transport-security")) == (status, [b"max-age=86400; includeSubDomains"])


async def test_what_cannot_be_read_is_told_too(site: Site, tmp_path: Path) -> None:
    """The answer to what never became a request."""
    running, authority = await secure(site, tmp_path, hsts="1d")
    client = await site.client(running, authority.client())
    await client.send(b"GET /public//x HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
    answer = await client.answer()
    assert (answer.status, answer.all(b"strict-transport-security")) == (400, [b"max-age=86400"])


async def test_it_is_not_said_unless_it_is_asked_for(site: Site, tmp_path: Path) -> None:
    """Browsers would use TLS for every port of the name. The upstream's word goes on."""
    running, authority = await secure(site, tmp_path)
    client = await site.client(running, authority.client())
    assert (await client.ask("/public/x")).all(b"strict-transport-security") == [b"max-age=1"]
    assert (await client.ask("/nowhere")).all(b"strict-transport-security") == []
