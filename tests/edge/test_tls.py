"""TLS on both sides: what is spoken, and whose certificate is believed."""

import asyncio
import ssl
from pathlib import Path

import pytest
from harness.certificates import Authority
from harness.client import request
from harness.site import Site
from harness.upstream import OK, Line


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def listening(authority: Authority) -> dict[str, object]:
    cert, key = authority.issue("gateway.test")
    return {"tls": {"cert": str(cert), "key": str(key)}}


async def test_a_tls_listener_serves(site: Site, authority: Authority) -> None:
    """Several requests on one connection; the upstream hears that it was https."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, listen=listening(authority))
    client = await site.client(running, authority.client())
    assert [(await client.ask()).status for _ in range(3)] == [200] * 3
    assert upstream.requests[0].one(b"x-forwarded-proto") == b"https"
    assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() is None


async def test_http11_is_what_is_offered(site: Site, authority: Authority) -> None:
    """A client that would rather have h2 gets http/1.1."""
    running = await site.gateway(await site.upstream(), listen=listening(authority))
    context = authority.client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    client = await site.client(running, context)
    assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"


async def test_bodies_go_through_tls(site: Site, authority: Authority) -> None:
    """Up and down, more than a buffer of either side."""
    body = bytes(range(256)) * 8192

    async def script(line: Line) -> None:
        got = await line.request()
        line.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(got.body), got.body)
        await line.gone()

    running = await site.gateway(await site.upstream(script), listen=listening(authority))
    client = await site.client(running, authority.client())
    assert (await client.ask(method="POST", body=body)).body == body


async def test_a_handshake_has_to_end_in_time(site: Site, authority: Authority) -> None:
    """`timeouts.head` is for it, too: a connection that never says hello is no cheaper than one without a request."""
    running = await site.gateway(await site.upstream(), listen={**listening(authority), "timeouts": {"head": "100ms"}})
    client = await site.client(running)
    assert await asyncio.wait_for(client.rest(), 5) == b""


async def test_an_end_of_connection_is_told_through_tls(site: Site, authority: Authority) -> None:
    """`Connection: close` ends it in good order."""
    running = await site.gateway(await site.upstream(), listen=listening(authority))
    client = await site.client(running, authority.client())
    assert (await client.ask("/public/x", b"Connection: close")).status == 200
    assert await asyncio.wait_for(client.rest(), 10) == b""


async def test_a_refusal_is_told_through_tls(site: Site, authority: Authority) -> None:
    """There is no half-close here: it is read on for a moment, then closed in good order."""
    running = await site.gateway(await site.upstream(), listen=listening(authority))
    client = await site.client(running, authority.client())
    await client.send(b"nonsense\r\n\r\n")
    assert (await client.answer()).status == 400
    assert await asyncio.wait_for(client.rest(), 10) == b""


async def test_plain_http_to_a_tls_listener_is_not_answered(site: Site, authority: Authority) -> None:
    """And does no harm to anybody else."""
    running = await site.gateway(await site.upstream(), listen=listening(authority))
    plain = await site.client(running)
    await plain.send(request())
    assert b"HTTP/1.1" not in await asyncio.wait_for(plain.rest(), 10)
    client = await site.client(running, authority.client())
    assert (await client.ask()).status == 200


async def test_a_tls_upstream_is_reached(site: Site, authority: Authority) -> None:
    """With the authority that signs it; the connection is used again."""
    upstream = await site.upstream(tls=authority.server("127.0.0.1"))
    running = await site.gateway(upstream, upstream={"tls": {"ca": str(authority.ca)}})
    client = await site.client(running)
    assert [(await client.ask()).body for _ in range(3)] == [b"ok"] * 3
    assert len(upstream.lines) == 1


@pytest.mark.parametrize(("host", "believed"), [("127.0.0.1", False), ("other.test", True)], ids=["unknown", "name"])
async def test_a_tls_upstream_that_cannot_prove_itself_is_502(
    site: Site, authority: Authority, host: str, believed: bool
) -> None:
    """An authority that nobody knows, or a certificate for another name: nothing is sent to it."""
    upstream = await site.upstream(tls=authority.server(host))
    tls = {"ca": str(authority.ca)} if believed else {}
    running = await site.gateway(upstream, upstream={"tls": tls})
    answer = await (await site.client(running)).ask()
    assert (answer.status, answer.code) == (502, "upstream_unreachable")
    assert not upstream.requests


async def test_verification_can_be_turned_off(site: Site, authority: Authority) -> None:
    """By the operator, in so many words."""
    upstream = await site.upstream(tls=authority.server("other.test"))
    running = await site.gateway(upstream, upstream={"tls": {"verify": False}})
    assert (await (await site.client(running)).ask()).status == 200


async def test_an_upstream_without_tls_is_502(site: Site) -> None:
    """https:// to a plain port."""

    async def script(line: Line) -> None:
        await line.more()
        line.send(OK)

    upstream = await site.upstream(script)
    running = await site.gateway(upstream.url.replace("http://", "https://"))
    assert (await (await site.client(running)).ask()).code == "upstream_unreachable"


async def test_a_new_certificate_comes_with_a_reload(site: Site, authority: Authority, tmp_path: Path) -> None:
    """Connections that are open keep theirs; new ones get the new."""
    running = await site.gateway(upstream := await site.upstream(), listen=listening(authority))
    old = await site.client(running, authority.client())
    (tmp_path / "second").mkdir()
    second = Authority(tmp_path / "second")
    running.write(site.said(upstream, listen=listening(second)))
    assert await running.gateway.reload() == []
    new = await site.client(running, second.client())
    assert [(await client.ask()).status for client in (old, new)] == [200, 200]
    with pytest.raises(ssl.SSLCertVerificationError):
        await site.client(running, authority.client())
