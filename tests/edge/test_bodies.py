"""Bodies both ways: every framing, every split, in constant memory."""

import asyncio

import pytest
from harness.client import chunked, request
from harness.site import Site
from harness.upstream import OK, Line, answering

from gateway.edge.intake import SLICE

MIB = 1 << 20
POST_CHUNKED = request("/public/x", b"Transfer-Encoding: chunked", method="POST")


def counted(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(*parts: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(*parts, last=last)


@pytest.mark.parametrize("size", [0, 1, 16_000, 16_384, 16_385, 20_000, 65_536, 300_000])
@pytest.mark.parametrize("warm", [False, True])
async def test_a_counted_body_in_one_write_arrives(site: Site, size: int, warm: bool) -> None:
    """Head and body in the same read, shorter and longer than a slice, with and without an idle connection."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    if warm:
        await client.ask()
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert (await asyncio.wait_for(client.ask(method="POST", body=body), 10)).status == 200
    assert upstream.requests[-1].body == body


@pytest.mark.parametrize("size", [1, 16_385, 300_000])
@pytest.mark.parametrize("warm", [False, True])
async def test_a_chunked_body_in_one_write_arrives(site: Site, size: int, warm: bool) -> None:
    """As chunks of our own making."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    if warm:
        await client.ask()
    await client.send(POST_CHUNKED, chunked(b"a" * size, b"b"))
    assert (await asyncio.wait_for(client.answer(), 10)).status == 200
    assert upstream.requests[-1].body == b"a" * size + b"b"


async def answering_later(line: Line) -> None:
    while True:
        await line.request()
        await asyncio.sleep(0)
        line.send(OK)


@pytest.mark.parametrize("framing", ["counted", "chunked"])
@pytest.mark.parametrize("size", [SLICE - 1, SLICE, SLICE + 1, 3 * SLICE + 1])
async def test_the_body_of_a_request_that_had_to_wait_arrives(site: Site, framing: str, size: int) -> None:
    """What was read of it behind the request before goes on when its turn comes, and so does the request after it.

    size: of everything up to the end of the body, which is read in slices.
    """
    first = request("/public/1")
    head = POST_CHUNKED if framing == "chunked" else request("/public/2", b"Content-Length: 12345", method="POST")
    around = len(chunked(b"x" * SLICE)) - SLICE if framing == "chunked" else 0
    body = b"x" * (size - len(first) - len(head) - around)
    rest = chunked(body) if framing == "chunked" else body
    second = head.replace(b"12345", b"%05d" % len(body)) + rest
    assert len(first + second) == size
    upstream = await site.upstream(answering_later)
    client = await site.client(await site.gateway(upstream))
    await client.send(first, second, request("/public/3"))
    async with asyncio.timeout(10):
        assert [(await client.answer()).status for _ in range(3)] == [200] * 3
    assert [got.body for got in upstream.requests] == [b"", body, b""]


@pytest.mark.parametrize(
    "whole", [request(method="POST", body=b"hello"), POST_CHUNKED + chunked(b"hel", b"lo")], ids=["counted", "chunked"]
)
async def test_a_request_split_anywhere_is_the_same_request(site: Site, whole: bytes) -> None:
    """At every byte border, on one connection."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    for at in range(1, len(whole)):
        await client.trickle(whole, at)
        assert (await client.answer()).status == 200
    assert {got.body for got in upstream.requests} == {b"hello"}
    assert len(upstream.requests) == len(whole) - 1


@pytest.mark.parametrize("whole", [counted(b"hello"), in_chunks(b"hel", b"lo")], ids=["counted", "chunked"])
async def test_an_answer_split_anywhere_is_the_same_answer(site: Site, whole: bytes) -> None:
    """At every byte border, from one connection."""
    at = 0

    async def script(line: Line) -> None:
        nonlocal at
        while True:
            await line.request()
            at += 1
            line.send(whole[:at])
            for _ in range(3):
                await asyncio.sleep(0)
            line.send(whole[at:])

    upstream = await site.upstream(script)
    client = await site.client(await site.gateway(upstream))
    assert {(await client.ask()).body for _ in range(len(whole) - 1)} == {b"hello"}
    assert len(upstream.lines) == 1


async def test_every_byte_by_itself(site: Site) -> None:
    """The extreme of splitting, in both directions."""

    async def script(line: Line) -> None:
        await line.request()
        for byte in in_chunks(b"hello"):
            line.send(bytes((byte,)))
            await asyncio.sleep(0)

    upstream = await site.upstream(script)
    client = await site.client(await site.gateway(upstream))
    for byte in POST_CHUNKED + chunked(b"hel", b"lo"):
        await client.send(bytes((byte,)))
        await asyncio.sleep(0)
    assert (await client.answer()).body == b"hello"
    assert upstream.requests[0].body == b"hello"


async def test_framing_is_made_anew(site: Site) -> None:
    """Chunk sizes in odd spellings, extensions and trailers end here (RFC 9112 section 7.1)."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    odd = b"0005;name=value\r\nhello\r\n000;last\r\nX-Trailer: 1\r\nx-mycelium-profile: forged\r\n\r\n"
    await client.send(POST_CHUNKED.replace(b"chunked", b"Chunked"), odd)
    assert (await client.answer()).status == 200
    got = upstream.requests[0]
    assert (got.all(b"transfer-encoding"), got.body) == ([b"chunked"], b"hello")
    assert not any(word in bytes(upstream.lines[0].received) for word in (b"name=value", b"last", b"railer", b"forged"))


async def test_trailers_of_an_answer_are_dropped(site: Site) -> None:
    """With the field that announces them."""
    whole = in_chunks(b"hello", last=b"0;e=1\r\nX-Sum: 1\r\n\r\n").replace(
        b"\r\n\r\n", b"\r\nTrailer: X-Sum\r\n\r\n", 1
    )
    client = await site.client(await site.gateway(await site.upstream(answering(whole))))
    await client.send(request("/public/x", b"Connection: close"))
    raw = await client.rest()
    assert b"hello" in raw
    assert b"x-sum" not in raw.lower()


async def test_an_answer_without_a_length_reaches_the_client_in_chunks(site: Site) -> None:
    """The upstream's end of connection is the end of the body (RFC 9112 section 6.3), and here it is marked."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        line.writer.close()

    client = await site.client(await site.gateway(await site.upstream(script)))
    answer = await client.ask()
    assert (answer.all(b"transfer-encoding"), answer.body) == ([b"chunked"], b"hello")
    assert (await client.ask()).status == 200


async def test_a_body_of_a_get_is_forwarded(site: Site) -> None:
    """Unusual, and well-framed all the same."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    await client.ask(method="GET", body=b"query")
    assert upstream.requests[0].body == b"query"


async def test_a_body_goes_up_while_it_comes(site: Site) -> None:
    """The upstream sees the first part before the client has sent the second."""
    first = asyncio.Event()

    async def script(line: Line) -> None:
        await line.head()
        await line.until(b"first")
        first.set()
        await line.until(b"second")
        line.send(OK)

    client = await site.client(await site.gateway(await site.upstream(script)))
    await client.send(request(method="POST", body=b"").replace(b"Length: 0", b"Length: 11"), b"first")
    await asyncio.wait_for(first.wait(), 10)
    await client.send(b"second")
    assert (await client.answer()).status == 200


async def test_an_answer_comes_down_while_it_is_made(site: Site) -> None:
    """An event stream: each part reaches the client before the next is sent."""
    parts: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(line: Line) -> None:
        await line.request()
        line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while part := await parts.get():
            line.send(chunked(part, last=b""))
        line.send(b"0\r\n\r\n")

    client = await site.client(await site.gateway(await site.upstream(script)))
    await client.send(request())
    await client.head()
    for part in (b"1", b"2"):
        parts.put_nowait(part)
        assert await client.exactly(6) == b"1\r\n" + part + b"\r\n"
    parts.put_nowait(b"")
    assert await client.exactly(5) == b"0\r\n\r\n"


async def test_s55_a_large_answer_to_a_slow_reader_waits_in_the_upstream(site: Site) -> None:
    """64 MiB: until the client reads, the upstream can push no more than the buffers of sockets hold."""
    total, part = 64 * MIB, b"x" * 65536
    pushed = 0
    stalled = asyncio.Event()

    async def script(line: Line) -> None:
        nonlocal pushed
        await line.request()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        line.writer.transport.set_write_buffer_limits(high=0)
        while pushed < total:
            line.send(part)
            pushed += len(part)
            try:
                await asyncio.wait_for(line.writer.drain(), 0.5)
            except TimeoutError:
                stalled.set()
                await line.writer.drain()

    client = await site.client(await site.gateway(await site.upstream(script)), receive=64 * 1024)
    await client.send(request())
    await asyncio.wait_for(stalled.wait(), 30)
    assert (
        pushed < 48 * MIB
    )  # the kernel may let a receiver's buffer grow to 32 MiB and a sender's to 4, and then it stops
    head = await client.head()
    assert int(head.one(b"content-length")) == total
    left = total
    while left:
        left -= len(await client.exactly(min(left, MIB)))


async def test_s55_a_large_upload_to_a_slow_upstream_waits_in_the_client(site: Site) -> None:
    """The other way round."""
    total, part = 64 * MIB, b"x" * 65536
    read_on = asyncio.Event()

    async def script(line: Line) -> None:
        await line.head()
        await read_on.wait()
        left = total
        while left:
            left -= len(await line.exactly(min(left, MIB)))
            line.received.clear()
        line.send(OK)

    client = await site.client(await site.gateway(await site.upstream(script)))
    client.writer.transport.set_write_buffer_limits(high=0)
    head = request(method="POST", body=b"").replace(b"Length: 0", b"Length: %d" % total)
    await client.send(head)
    sent = 0
    while sent < total:
        client.writer.write(part)
        sent += len(part)
        try:
            await asyncio.wait_for(client.writer.drain(), 0.5)
        except TimeoutError:
            assert not read_on.is_set()
            assert sent < 32 * MIB
            read_on.set()
            await client.writer.drain()
    assert read_on.is_set()
    assert (await client.answer()).status == 200


async def test_a_body_over_the_limit_of_the_route_is_413(site: Site) -> None:
    """Both sides of the number, counted and chunked; of what is over nothing is answered but the refusal."""
    running = await site.gateway(await site.upstream(), route={"limits": {"body": "1000B"}})
    for size, status in ((1000, 200), (1001, 413)):
        client = await site.client(running)
        assert (await client.ask(method="POST", body=b"x" * size)).status == status
        client = await site.client(running)
        await client.send(POST_CHUNKED, chunked(b"x" * 500, b"x" * (size - 500)))
        assert (await client.answer()).status == status


async def test_a_limit_of_nothing_takes_nothing(site: Site) -> None:
    """`body: 0B` is a limit like any other."""
    running = await site.gateway(await site.upstream(), route={"limits": {"body": "0B"}})
    for body, status in ((None, 200), (b"", 200), (b"x", 413)):
        assert (await (await site.client(running)).ask(method="POST", body=body)).status == status


async def test_heads_behind_a_chunked_body_are_none_of_its_slice(site: Site) -> None:
    """A long slice of the body holds the first of them, and ends within another, which is not too large for that."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    body, heads = bytes(200_000), 60
    data = POST_CHUNKED + chunked(*[body[at : at + 65_536] for at in range(0, len(body), 65_536)])
    data += request("/public/y", b"X-Long: " + b"x" * 1_000) * heads
    (connection,) = running.gateway.edge.clients
    connection.data_received(data)  # one read: what the kernel would make of it is chance
    answers = [await asyncio.wait_for(client.answer(), 10) for _ in range(1 + heads)]
    assert {answer.status for answer in answers} == {200}
    assert [got.body for got in upstream.requests] == [body] + [b""] * heads
