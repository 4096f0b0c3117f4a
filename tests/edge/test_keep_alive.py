"""Connections that serve several requests: order, bounds, and when they end."""

import asyncio
import socket

import pytest
from harness.client import request
from harness.site import Site
from harness.upstream import OK, Line, answering


async def test_a_connection_serves_one_request_after_the_other(site: Site) -> None:
    """HTTP/1.1 keeps the connection unless somebody says otherwise."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    answers = [await client.ask(f"/public/{number}") for number in range(3)]
    assert [answer.body for answer in answers] == [b"ok"] * 3


async def test_upstream_connections_are_used_again(site: Site) -> None:
    """Three requests, one connection behind."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    for _ in range(3):
        await client.ask()
    assert len(upstream.lines) == 1


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("HTTP/1.1", None, True),
        ("HTTP/1.1", b"keep-alive", True),
        ("HTTP/1.1", b"close", False),
        ("HTTP/1.1", b"Close", False),
        ("HTTP/1.1", b"x, close", False),
        ("HTTP/1.1", b"close, keep-alive", False),
        ("HTTP/1.0", None, False),
        ("HTTP/1.0", b"keep-alive", True),
        ("HTTP/1.0", b"Keep-Alive", True),
        ("HTTP/1.0", b"close, keep-alive", False),
    ],
)
async def test_who_keeps_the_connection(site: Site, version: str, connection: bytes | None, kept: bool) -> None:
    """RFC 9112 section 9.3; `close` outranks everything, and the answer says what will happen."""
    client = await site.client(await site.gateway(await site.upstream()))
    fields = [] if connection is None else [b"Connection: " + connection]
    answer = await client.ask("/public/1", *fields, version=version)
    said = answer.all(b"connection")
    assert said == ([b"keep-alive"] if version == "HTTP/1.0" else []) if kept else [b"close"]
    if kept:
        assert (await client.ask("/public/2", *fields, version=version)).status == 200
    else:
        assert await client.rest() == b""


async def test_pipelined_requests_are_answered_in_order(site: Site) -> None:
    """The first answer is the slow one, and still the first."""
    second = asyncio.Event()

    async def slow(line: Line) -> None:
        while True:
            got = await line.request()
            if got.target == b"/public/0":
                await asyncio.wait_for(second.wait(), 10)
            line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n" + got.target)

    client = await site.client(await site.gateway(await site.upstream(slow)))
    await client.send(b"".join(request(f"/public/{number}") for number in range(5)))
    second.set()
    assert [(await client.answer()).body for _ in range(5)] == [b"/public/%d" % number for number in range(5)]


async def test_one_exchange_at_a_time(site: Site) -> None:
    """While the first is open upstream, the second request has not gone out."""
    release = asyncio.Event()

    async def held(line: Line) -> None:
        while True:
            await line.request()
            await release.wait()
            line.send(OK)

    upstream = await site.upstream(held)
    client = await site.client(await site.gateway(upstream))
    await client.send(request("/public/1"), request("/public/2"))
    await upstream.got()
    assert (len(upstream.requests), len(upstream.lines)) == (1, 1)
    release.set()
    assert [(await client.answer()).status for _ in range(2)] == [200, 200]


async def test_a_client_that_pipelines_without_end_is_not_read(site: Site) -> None:
    """While an answer is outstanding, a few reads' worth is taken in and then the socket is left full."""
    release = asyncio.Event()

    async def held(line: Line) -> None:
        await line.request()
        await release.wait()

    upstream = await site.upstream(held)
    client = await site.client(await site.gateway(upstream))
    one = request("/public/x")
    client.writer.transport.set_write_buffer_limits(high=0)
    sent = 0
    try:
        async with asyncio.timeout(1.5):
            while sent < 64 << 20:
                await client.send(one * 1000)
                sent += len(one) * 1000
    except TimeoutError:
        pass
    release.set()
    assert sent < 32 << 20


async def test_answers_that_are_not_read_stop_the_reading_of_requests(site: Site) -> None:
    """Refusals are longer than requests: whoever does not read them must not fill the memory with them."""
    client = await site.client(await site.gateway(await site.upstream()), receive=4096)
    client.writer.transport.set_write_buffer_limits(high=0)
    one, sent = request("/nowhere"), 0
    try:
        async with asyncio.timeout(1.5):
            while sent < 32 << 20:
                await client.send(one * 1000)
                sent += len(one) * 1000
    except TimeoutError:
        pass
    assert sent < 16 << 20


async def test_pipelined_refusals_are_all_answered(site: Site) -> None:
    """Those that need no upstream end at once, one after the other."""
    client = await site.client(await site.gateway(await site.upstream()))
    client.writer.write(request("/nowhere") * 2000)
    assert [(await client.answer()).status for _ in range(2000)] == [404] * 2000


async def test_an_error_in_the_second_pipelined_request_is_answered_second(site: Site) -> None:
    """What was read before the fault is still served."""
    client = await site.client(await site.gateway(await site.upstream()))
    await client.send(request(), b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
    assert [(await client.answer()).status for _ in range(2)] == [200, 400]
    assert await client.rest() == b""


async def test_a_half_closed_client_is_served(site: Site) -> None:
    """`printf ... | nc` sends its request and closes its side."""
    release = asyncio.Event()

    async def held(line: Line) -> None:
        await line.request()
        await release.wait()
        line.send(OK)

    upstream = await site.upstream(held)
    client = await site.client(await site.gateway(upstream))
    await client.send(request())
    client.half_close()
    await upstream.got()
    release.set()
    assert (await client.answer()).body == b"ok"
    assert await client.rest() == b""


async def test_a_half_closed_client_gets_every_pipelined_answer(site: Site) -> None:
    """All three were sent before the end of its side."""
    client = await site.client(await site.gateway(await site.upstream()))
    await client.send(request() * 3)
    client.half_close()
    assert [(await client.answer()).status for _ in range(3)] == [200] * 3
    assert await client.rest() == b""


async def test_empty_lines_between_requests_are_skipped(site: Site) -> None:
    """RFC 9112 section 2.2: at least one CRLF before a request line is tolerated."""
    client = await site.client(await site.gateway(await site.upstream()))
    await client.send(b"\r\n", request(), b"\r\n", request())
    assert [(await client.answer()).status for _ in range(2)] == [200, 200]


async def test_an_answer_that_was_not_read_does_not_stop_the_next_user_of_the_connection(site: Site) -> None:
    """A full client pauses the upstream's connection, which goes back to the pool ready to be read."""
    size = 1 << 20
    large = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size
    upstream = await site.upstream(answering(large, OK))
    running = await site.gateway(upstream)
    slow = await site.client(running, receive=4096)
    await slow.send(request())
    await upstream.got()
    (theirs,) = running.gateway.edge.clients
    theirs.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    assert len((await slow.answer()).body) == size
    assert (await asyncio.wait_for((await site.client(running)).ask(), 10)).status == 200
    assert len(upstream.lines) == 1


async def test_a_pipelined_upgrade_that_is_no_websocket_does_not_end_the_reading(site: Site) -> None:
    """The parser stops at every upgrade; what follows it is read by a fresh one."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    h2c = request("/public/h2c", b"Connection: Upgrade", b"Upgrade: h2c")
    await client.send((h2c + request("/public/next")) * 100)
    assert [(await client.answer()).status for _ in range(200)] == [200] * 200
    assert [got.target for got in upstream.requests[:2]] == [b"/public/h2c", b"/public/next"]
