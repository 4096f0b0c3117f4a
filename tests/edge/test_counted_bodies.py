"""Bodies that go by the parser: what was not read with the head. Where they end, and what is behind them."""

import asyncio
from collections.abc import Callable

import pytest
from harness.client import Answer, Client, request
from harness.site import Site, until
from harness.upstream import OK, Line, Upstream, answering

BODY = bytes(range(256)) * 4000  # more than the gateway reads at once
FORGED = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"


async def begun(site: Site, *fields: bytes) -> tuple[Upstream, Client]:
    """A request of which the first byte of the body is at the upstream already."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    await client.send(request("/public/first", *fields, b"Content-Length: %d" % len(BODY), method="POST"), BODY[:1])
    await until(lambda: upstream.lines and upstream.lines[0].received.endswith(b"\r\n\r\n" + BODY[:1]))
    return upstream, client


@pytest.mark.parametrize("split", [2, 20_000, len(BODY) - 1, len(BODY)])
async def test_the_next_request_is_read_behind_the_body(site: Site, split: int) -> None:
    """Whether it comes with the body's end or after it, and itself has a body in parts."""
    upstream, client = await begun(site)
    await client.trickle(
        BODY[1:] + request("/public/second", method="PUT", body=BODY) + request("/public/third"), split
    )
    assert [(await client.answer()).status for _ in range(3)] == [200, 200, 200]
    assert [got.target for got in upstream.requests] == [b"/public/first", b"/public/second", b"/public/third"]
    assert [got.body for got in upstream.requests] == [BODY, BODY, b""]
    assert upstream.requests[2].raw.startswith(b"GET /public/third HTTP/1.1\r\n")


async def test_nothing_is_read_behind_a_body_that_is_the_last(site: Site) -> None:
    """`Connection: close`: what comes with the body's end is no request."""
    upstream, client = await begun(site, b"Connection: close")
    await client.send(BODY[1:] + request("/public/second"))
    assert (await client.answer()).status == 200
    assert await client.rest() == b""
    assert [got.body for got in upstream.requests] == [BODY]


async def test_garbage_behind_a_body_is_refused(site: Site) -> None:
    """As it is without one; the request is answered before."""
    upstream, client = await begun(site)
    await client.send(BODY[1:] + b"\x00\x01\r\n\r\n")
    assert (await client.answer()).status == 200
    refused = await client.answer()
    assert (refused.status, refused.code) == (400, "malformed_request")
    assert [got.body for got in upstream.requests] == [BODY]


async def answered(
    site: Site, *rest: bytes, head: bytes = b"content-length: %d\r\n" % len(BODY)
) -> tuple[Client, Upstream]:
    """An upstream whose first answer's body begins, and goes on with these once that has been read."""
    go = asyncio.Event()

    async def script(line: Line) -> None:
        while await line.request():
            if go.is_set():
                line.send(OK)
                continue
            line.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + BODY[:1])
            await go.wait()
            for part in rest:
                line.send(part)
                await line.writer.drain()
            if not head or len(b"".join(rest)) < len(BODY) - 1:
                line.writer.close()

    upstream = await site.upstream(script)
    client = await site.client(await site.gateway(upstream))
    await client.send(request())
    assert (await client.head()).status == 200
    if head:
        assert await client.exactly(1) == BODY[:1]
    else:
        assert await client.exactly(6) == b"1\r\n" + BODY[:1] + b"\r\n"
    go.set()
    return client, upstream


@pytest.mark.parametrize("parts", [lambda rest: (rest,), lambda rest: (rest[:9], rest[9:50_000], rest[50_000:])])
async def test_the_connection_is_good_for_the_next_answer(
    site: Site, parts: Callable[[bytes], tuple[bytes, ...]]
) -> None:
    """A body that ended where it should: the parser begins anew."""
    client, upstream = await answered(site, *parts(BODY[1:]))
    assert await client.exactly(len(BODY) - 1) == BODY[1:]
    for _ in range(2):
        assert (await client.ask()).body == b"ok"
    assert len(upstream.lines) == 1


async def test_an_answer_behind_the_body_is_nobodys(site: Site) -> None:
    """The client gets the body and no byte more, and nobody the connection."""
    client, upstream = await answered(site, BODY[1:] + FORGED)
    assert await client.exactly(len(BODY) - 1) == BODY[1:]
    assert (await client.ask()).body == b"ok"
    assert len(upstream.lines) == 2


async def test_empty_lines_behind_the_body_are_nothing(site: Site) -> None:
    """As behind one that came with its head."""
    client, upstream = await answered(site, BODY[1:] + b"\r\n")
    assert await client.exactly(len(BODY) - 1) == BODY[1:]
    assert (await client.ask()).body == b"ok"
    assert len(upstream.lines) == 1


async def test_a_length_of_too_many_digits_is_refused(site: Site) -> None:
    """Zeros before a number have no end; the parser takes any."""
    upstream = await site.upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %b2\r\n\r\nok" % (b"0" * 5_000)))
    client = await site.client(await site.gateway(upstream))
    refused = await client.ask()
    assert (refused.status, refused.code) == (502, "upstream_bad_answer")


async def test_a_body_that_breaks_off_is_cut(site: Site) -> None:
    """It is not taken for whole."""
    client, _ = await answered(site, BODY[1:-1])
    assert await client.rest() == BODY[1:-1]


async def test_a_body_that_only_the_close_ends_is_whole(site: Site) -> None:
    """In chunks to the client, the last one included."""
    client, _ = await answered(site, BODY[1:50_000], FORGED, head=b"")
    framed = Answer(200, b"OK", [(b"transfer-encoding", b"chunked")], b"")
    assert await client.body(framed) == BODY[1:50_000] + FORGED
