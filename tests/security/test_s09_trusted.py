"""S-9: what a trusted proxy says is read from right to left, up to the first hop that is not trusted."""

import pytest
from harness.site import Site

TRUSTED = ["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"]
FOR = b"X-Forwarded-For: "
RFC = b"Forwarded: "
# (field lines, the client's address); every hop that is believed stands in the chain to the upstream
CHAINS = [
    ((FOR + b"192.0.2.1",), "192.0.2.1"),
    ((FOR + b"203.0.113.9, 192.0.2.1",), "192.0.2.1"),
    ((FOR + b"192.0.2.1, 10.1.1.1",), "192.0.2.1"),
    ((FOR + b"203.0.113.9, 192.0.2.1, 10.1.1.1, 10.2.2.2",), "192.0.2.1"),
    ((FOR + b"10.3.3.3, 10.2.2.2",), "10.3.3.3"),
    ((FOR + b"10.9.9.9, 192.0.2.1, 10.2.2.2",), "192.0.2.1"),
    ((FOR + b"203.0.113.9", FOR + b"192.0.2.1", FOR + b"10.2.2.2"), "192.0.2.1"),
    ((FOR + b"192.0.2.1\t , 10.2.2.2 ",), "192.0.2.1"),
    # IPv6, with and without brackets and port
    ((FOR + b"2001:db8:ffff::1",), "2001:db8:ffff::1"),
    ((FOR + b"[2001:db8:ffff::1]",), "2001:db8:ffff::1"),
    ((FOR + b"[2001:db8:ffff::1]:8443",), "2001:db8:ffff::1"),
    ((FOR + b"2001:DB8:FFFF:0:0:0:0:1",), "2001:db8:ffff::1"),
    ((FOR + b"192.0.2.1, 2001:db8:1::7",), "192.0.2.1"),
    ((FOR + b"192.0.2.1, [2001:db8:1::7]:443, 10.1.1.1",), "192.0.2.1"),
    ((FOR + b"::ffff:192.0.2.1",), "192.0.2.1"),
    ((FOR + b"192.0.2.1, ::ffff:10.1.1.1",), "192.0.2.1"),
    ((FOR + b"2001:db8:2::7, 10.1.1.1",), "2001:db8:2::7"),
    # ports
    ((FOR + b"192.0.2.1:443",), "192.0.2.1"),
    ((FOR + b"192.0.2.1:65535, 10.1.1.1:80",), "192.0.2.1"),
    # garbage ends the walk at the hop before it
    ((FOR + b"192.0.2.1, unknown",), "127.0.0.1"),
    ((FOR + b"192.0.2.1, garbage, 10.1.1.1",), "10.1.1.1"),
    ((FOR + b"192.0.2.1, , 10.1.1.1",), "10.1.1.1"),
    ((FOR + b"192.0.2.1,",), "127.0.0.1"),
    ((FOR,), "127.0.0.1"),
    ((FOR + b"192.0.2.256",), "127.0.0.1"),
    ((FOR + b"192.0.2",), "127.0.0.1"),
    ((FOR + b"0300.0.2.1",), "127.0.0.1"),
    ((FOR + b"3221225985",), "127.0.0.1"),
    ((FOR + b"192.0.2.1:",), "127.0.0.1"),
    ((FOR + b"192.0.2.1:port",), "127.0.0.1"),
    ((FOR + b"192.0.2.1:123456",), "127.0.0.1"),
    ((FOR + b"[192.0.2.1]",), "127.0.0.1"),
    ((FOR + b"[2001:db8::1",), "127.0.0.1"),
    ((FOR + b"2001:db8::1]",), "127.0.0.1"),
    ((FOR + b"[2001:db8::1]x",), "127.0.0.1"),
    ((FOR + b"2001:db8:::1",), "127.0.0.1"),
    ((FOR + b"fe80::1%eth0",), "127.0.0.1"),
    ((FOR + b'"192.0.2.1"',), "127.0.0.1"),
    ((FOR + b"192.0.2.1 10.1.1.1",), "127.0.0.1"),
    ((FOR + b"192.0.2.1;10.1.1.1",), "127.0.0.1"),
    ((FOR + b"\xff\xfe, 10.1.1.1",), "10.1.1.1"),
    ((FOR + b"localhost",), "127.0.0.1"),
    ((FOR + b"192.0.2.1, " * 40 + b"10.1.1.1",), "192.0.2.1"),
    ((FOR + b"192.0.2.1" + b", 10.1.1.1" * 31,), "192.0.2.1"),
    ((FOR + b"192.0.2.1" + b", 10.1.1.1" * 32,), "10.1.1.1"),
    # the same in RFC 7239
    ((RFC + b"for=192.0.2.1",), "192.0.2.1"),
    ((RFC + b"for=203.0.113.9, for=192.0.2.1, for=10.1.1.1",), "192.0.2.1"),
    ((RFC + b"for=203.0.113.9", RFC + b"for=192.0.2.1;proto=https"), "192.0.2.1"),
    ((RFC + b'for="[2001:db8:ffff::1]"',), "2001:db8:ffff::1"),
    ((RFC + b'For="[2001:db8:ffff::1]:4711";by=10.1.1.1',), "2001:db8:ffff::1"),
    ((RFC + b'for="192.0.2.1:80"',), "192.0.2.1"),
    ((RFC + b'for=192.0.2.1, for="[2001:db8:1::7]"',), "192.0.2.1"),
    ((RFC + b"for=192.0.2.1, for=unknown",), "127.0.0.1"),
    ((RFC + b"for=192.0.2.1, for=_hidden, for=10.1.1.1",), "10.1.1.1"),
    ((RFC + b"for=192.0.2.1, proto=https",), "127.0.0.1"),
    ((RFC + b"for=192.0.2.1;for=203.0.113.9",), "127.0.0.1"),
    ((RFC + b'for="192.0.2.1',), "127.0.0.1"),
    ((RFC + b"for=192.0.2.1, for=\xff",), "127.0.0.1"),
    # the other one may be the client's: where they do not agree neither is believed
    ((FOR + b"192.0.2.1", RFC + b"for=192.0.2.1"), "192.0.2.1"),
    ((FOR + b"192.0.2.1", RFC + b"for=203.0.113.9"), "127.0.0.1"),
    # what nobody standardised is never believed, from whomever
    ((b"X-Real-IP: 192.0.2.1",), "127.0.0.1"),
    ((b"True-Client-IP: 192.0.2.1", b"X-Client-IP: 192.0.2.1", b"X-Cluster-Client-IP: 192.0.2.1"), "127.0.0.1"),
    ((b"X-Real-IP: 203.0.113.9", FOR + b"192.0.2.1"), "192.0.2.1"),
]


async def test_s09_the_client_is_the_first_hop_that_is_not_trusted(site: Site) -> None:
    """In the log, and first in the chain that the upstream is told; what is left of it is not passed on."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, listen={"trusted_proxies": TRUSTED})
    client = await site.client(running)
    for fields, _ in CHAINS:
        assert (await client.ask("/public/x", *fields)).status == 200
    lines = await running.lines()
    rows = list(zip(CHAINS, lines, upstream.requests, strict=True))
    assert [(fields, line["client"]) for (fields, _), line, _ in rows] == CHAINS
    chains = [got.one(b"x-forwarded-for").decode().split(", ") for got in upstream.requests]
    assert [chain[0] for chain in chains] == [address for _, address in CHAINS]
    assert {chain[-1] for chain in chains} == {"127.0.0.1"}
    assert not any(address in got.raw for got in upstream.requests for address in (b"203.0.113.9", b"unknown"))


@pytest.mark.parametrize("listed", [[], ["192.0.2.0/24"], ["127.0.0.2/32", "::1"]])
async def test_s09_of_another_proxy_nothing_is_read(site: Site, listed: list[str]) -> None:
    """The same chains from a socket that is not listed: it is the client itself."""
    running = await site.gateway(await site.upstream(), listen={"trusted_proxies": listed})
    client = await site.client(running)
    for fields, _ in CHAINS:
        assert (await client.ask("/public/x", *fields)).status == 200
    assert {line["client"] for line in await running.lines()} == {"127.0.0.1"}


SAID = [
    ((b"X-Forwarded-Proto: https",), b"https", b"gateway.test"),
    ((b"X-Forwarded-Proto: HTTPS", b"X-Forwarded-Host: shop.test:8443"), b"https", b"shop.test:8443"),
    ((FOR + b"192.0.2.1, 10.1.1.1", b"X-Forwarded-Proto: https, http"), b"https", b"gateway.test"),
    ((FOR + b"192.0.2.1", b"X-Forwarded-Proto: https, http"), b"http", b"gateway.test"),
    ((b"X-Forwarded-Proto: ftp",), b"http", b"gateway.test"),
    ((b"X-Forwarded-Proto: https\xff",), b"http", b"gateway.test"),
    ((b"X-Forwarded-Host: evil.test/x",), b"http", b"gateway.test"),
    ((b"X-Forwarded-Host: user@evil.test",), b"http", b"gateway.test"),
    ((b'X-Forwarded-Host: evil.test"; proto=https',), b"http", b"gateway.test"),
    ((RFC + b"for=192.0.2.1;proto=https;host=shop.test",), b"https", b"shop.test"),
    ((RFC + b"for=192.0.2.1;proto=https;host=a, for=10.1.1.1;proto=http;host=b",), b"https", b"a"),
    ((FOR + b"192.0.2.1", b"X-Forwarded-Proto: http", RFC + b"for=192.0.2.1;proto=https"), b"http", b"gateway.test"),
]


async def test_s09_scheme_and_host_are_those_of_the_same_hop(site: Site) -> None:
    """As the proxy nearest to the client has seen them, or our own where that is not clear."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream, listen={"trusted_proxies": TRUSTED}))
    for fields, _, _ in SAID:
        assert (await client.ask("/public/x", *fields)).status == 200
    found = [(got.one(b"x-forwarded-proto"), got.one(b"x-forwarded-host")) for got in upstream.requests]
    assert found == [(scheme, host) for _, scheme, host in SAID]


async def test_s09_what_routes_go_by_is_the_host_header(site: Site) -> None:
    """A trusted proxy's word is passed on, and chooses no route."""
    routes = [{"path": "/x", "access": "protected"}, {"path": "/x", "access": "public", "host": "open.test"}]
    running = await site.gateway(await site.upstream(), routes=routes, listen={"trusted_proxies": TRUSTED})
    client = await site.client(running)
    assert (await client.ask("/x", b"X-Forwarded-Host: open.test")).status == 401
    assert (await client.ask("/x", b"X-Original-URL: /public", b"X-HTTP-Method-Override: PUT")).status == 401
