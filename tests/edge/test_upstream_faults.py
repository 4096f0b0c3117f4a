"""Upstreams that break off, fall silent, or do not speak HTTP."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from harness.client import request
from harness.site import Site, until
from harness.upstream import OK, Line, answering

HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("http://127.0.0.1:1", "The connection was refused."),
        ("http://nowhere.invalid:1", "The upstream's name was not found."),
    ],
)
async def test_an_upstream_that_cannot_be_reached_is_502(site: Site, url: str, detail: str) -> None:
    """And what it was is told."""
    running = await site.gateway(url)
    answer = await (await site.client(running)).ask()
    assert (answer.status, answer.code) == (502, "upstream_unreachable")
    ((_, _, told),) = [line for line in running.log.lines if line[1] == "endpoint dead"]
    assert told["why"] == detail


async def test_an_upstream_that_takes_nothing_does_not_keep_its_connection(site: Site) -> None:
    """With what it did not take in the buffer, it would stay open for as long as the upstream likes."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.bind(("127.0.0.1", 0))
    deaf.listen()
    try:
        running = await site.gateway(
            f"http://127.0.0.1:{deaf.getsockname()[1]}", listen={"timeouts": {"body_idle": "100ms"}}
        )
        client = await site.client(running)
        client.writer.write(request("/public/x", method="POST", body=b"x" * (16 << 20)))
        assert (await asyncio.wait_for(client.answer(), 10)).status == 504
        endpoint = running.gateway.core.upstreams["u"].endpoints[0]
        await until(lambda: not endpoint.open)
    finally:
        deaf.close()


def breaking(*parts: bytes, reset: bool = False) -> Callable[[Line], Awaitable[None]]:
    """Answers with these bytes and is gone."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(*parts)
        await line.writer.drain()
        if reset:
            line.reset()

    return script


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 2", HEAD + b"Content-Length: 5\r\n"], ids=["none", "line", "head"])
async def test_an_upstream_that_dies_before_the_end_of_its_head_is_502(site: Site, sent: bytes, reset: bool) -> None:
    """Nothing of its answer has gone out, so the gateway can still say so; the client's connection lives."""
    client = await site.client(await site.gateway(await site.upstream(breaking(sent, reset=reset))))
    for _ in range(2):
        answer = await client.ask()
        assert (answer.status, answer.code) == (502, "upstream_closed")


@pytest.mark.parametrize(
    "sent",
    [b"Content-Length: 5\r\n\r\nhel", b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"],
    ids=["counted", "chunked"],
)
async def test_an_upstream_that_dies_in_its_body_cuts_the_client(site: Site, sent: bytes) -> None:
    """No second status line, no final chunk: the client must see that the answer is not whole."""
    client = await site.client(await site.gateway(await site.upstream(breaking(HEAD, sent))))
    await client.send(request())
    raw = await client.rest()
    assert raw.count(b"HTTP/1.1") == 1
    assert b"hel" in raw
    assert not raw.endswith(b"0\r\n\r\n")


async def test_a_reset_is_not_the_end_of_a_body(site: Site) -> None:
    """An answer that lasts until the connection ends is whole only if it ends in good order."""
    opened = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        line.send(HEAD, b"\r\nhel")
        await opened.wait()
        line.reset()

    client = await site.client(await site.gateway(await site.upstream(script)))
    await client.send(request())
    await client.head()
    opened.set()
    assert not (await client.rest()).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("method", "status", "times"), [("GET", 200, 2), ("PUT", 200, 2), ("DELETE", 200, 2), ("POST", 502, 1)]
)
async def test_only_an_idempotent_request_is_sent_again(site: Site, method: str, status: int, times: int) -> None:
    """An idle connection was closed as the request went out: once more on a fresh one, unless that could do harm."""

    async def script(line: Line) -> None:
        got = await line.request()
        line.send(OK)
        if got.target == b"/public/1":
            await line.request()

    upstream = await site.upstream(script)
    client = await site.client(await site.gateway(upstream))
    await client.ask("/public/1")
    assert (await client.ask("/public/2", method=method)).status == status
    assert [got.target for got in upstream.requests].count(b"/public/2") == times


async def test_a_request_is_sent_again_only_once(site: Site) -> None:
    """The fresh connection closes too: that is the answer."""

    async def script(line: Line) -> None:
        got = await line.request()
        if got.target == b"/public/1":
            line.send(OK)
            await line.request()

    upstream = await site.upstream(script)
    client = await site.client(await site.gateway(upstream))
    await client.ask("/public/1")
    answer = await client.ask("/public/2")
    assert (answer.status, len(upstream.requests)) == (502, 3)


async def test_a_request_on_a_fresh_connection_is_not_sent_again(site: Site) -> None:
    """It was not idle: the upstream has seen the request."""
    upstream = await site.upstream(breaking())
    client = await site.client(await site.gateway(upstream))
    assert (await client.ask()).status == 502
    assert len(upstream.requests) == 1


async def test_a_request_is_not_sent_again_once_an_answer_has_begun(site: Site) -> None:
    """One byte of it is enough."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(OK)
        await line.request()
        line.send(b"H")

    upstream = await site.upstream(script)
    client = await site.client(await site.gateway(upstream))
    await client.ask()
    assert (await client.ask()).status == 502
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("body", [None, b"hello"], ids=["bare", "body"])
async def test_a_request_is_sent_again_to_an_endpoint_that_lives(site: Site, body: bytes | None) -> None:
    """With that one's own path before its target: the one whose connection was lost may be dead."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(OK)
        await line.head()
        line.reset()

    dying, other = await site.upstream(script), await site.upstream()
    running = await site.gateway(
        f"{dying.url}/a", f"{other.url}/b", upstream={"balance": "round_robin"}, route={"timeouts": {"connect": "1s"}}
    )
    client = await site.client(running)
    for _ in range(2):
        await client.ask("/public/1")
    dying.stop_listening()
    for _ in range(2):
        assert (await client.ask("/public/2", method="PUT", body=body)).status == 200
    assert [(got.target, got.body) for got in other.requests][-2:] == [(b"/b/public/2", body or b"")] * 2


MALFORMED = {
    "garbage": b"garbage\r\n\r\n",
    "http09": b"<html>hello</html>",
    "http2": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "http2-short": b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "http12": b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "rtsp": b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "ice": b"ICE/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "no-status": b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nok",
    "four-digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
    "chunked-10": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "te-and-cl": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "cl-and-te": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two-cl": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "same-cl-twice": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "cl-list": HEAD + b"Content-Length: 2, 2\r\n\r\nok",
    "cl-sign": HEAD + b"Content-Length: +2\r\n\r\nok",
    "cl-negative": HEAD + b"Content-Length: -2\r\n\r\nok",
    "cl-hex": HEAD + b"Content-Length: 0x2\r\n\r\nok",
    "cl-empty": HEAD + b"Content-Length:\r\n\r\nok",
    "cl-huge": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nok",
    "te-twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "te-gzip": HEAD + b"Transfer-Encoding: gzip\r\n\r\nok",
    "te-gzip-chunked": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "te-xchunked": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "space-before-colon": HEAD + b"Content-Length : 2\r\n\r\nok",
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "fold": HEAD + b"X: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok",
    "nul": HEAD + b"X: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "cr-in-value": HEAD + b"X: a\rb\r\nContent-Length: 2\r\n\r\nok",
    "empty-name": HEAD + b": 1\r\nContent-Length: 2\r\n\r\nok",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "101-bare": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "bad-chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
    "large-field": HEAD + b"X: " + b"x" * 66_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "many-fields": HEAD + b"X: x\r\n" * 20_000 + b"Content-Length: 2\r\n\r\nok",
    "large-reason": b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\nContent-Length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
async def test_an_answer_that_is_not_well_formed_is_502(site: Site, sent: bytes) -> None:
    """Malformed, ambiguous or too large: nothing of it goes out, and its connection is not used again."""
    upstream = await site.upstream(answering(sent, OK))
    client = await site.client(await site.gateway(upstream))
    answer = await asyncio.wait_for(client.ask(), 10)
    assert (answer.status, answer.code) == (502, "upstream_bad_answer")
    assert (await client.ask()).status == 200
    await upstream.lines[0].gone()
    assert len(upstream.lines) == 2


async def test_a_head_just_below_the_limit_is_relayed(site: Site) -> None:
    """64 KiB is the limit; its other side is above."""
    whole = HEAD + b"X-Long: " + b"x" * 65_000 + b"\r\nContent-Length: 2\r\n\r\nok"
    client = await site.client(await site.gateway(await site.upstream(answering(whole))))
    assert len((await client.ask()).one(b"x-long")) == 65_000


def flooding(start: bytes, more: bytes) -> Callable[[Line], Awaitable[None]]:
    """Sends `more` for as long as anybody reads."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(start)
        for _ in range(4096):
            line.send(more)
            await line.writer.drain()
            await asyncio.sleep(0)

    return script


async def test_a_head_without_end_is_502(site: Site) -> None:
    """It is read for 64 KiB."""
    upstream = await site.upstream(flooding(HEAD, b"X: " + b"x" * 4096 + b"\r\n"))
    client = await site.client(await site.gateway(upstream))
    assert (await asyncio.wait_for(client.ask(), 20)).code == "upstream_bad_answer"


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n5;", b"e" * 4096),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", b"X: " + b"x" * 4096 + b"\r\n"),
    ],
    ids=["extension", "trailers"],
)
async def test_framing_without_end_is_cut(site: Site, start: bytes, more: bytes) -> None:
    """Chunk extensions and trailers hold no body and are never limited by the parser."""
    client = await site.client(await site.gateway(await site.upstream(flooding(HEAD + start, more))))
    await client.send(request())
    raw = await asyncio.wait_for(client.rest(), 20)
    assert b"ok" in raw
    assert not raw.endswith(b"0\r\n\r\n")


async def test_bytes_that_nobody_asked_for_end_an_idle_connection(site: Site) -> None:
    """They would be the answer to the next request, of whoever that is."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(OK)
        if len(upstream.lines) == 1:
            await sent.wait()
            line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison")
            await line.gone()
            ended.set()

    sent, ended = asyncio.Event(), asyncio.Event()
    upstream = await site.upstream(script)
    client = await site.client(await site.gateway(upstream))
    await client.ask()
    sent.set()
    await asyncio.wait_for(ended.wait(), 10)
    assert (await client.ask()).body == b"ok"


@pytest.mark.parametrize("rest", [OK, OK[:20], b"garbage", b"\0"], ids=["answer", "part", "garbage", "nul"])
async def test_more_than_one_answer_in_a_read_ends_the_connection(site: Site, rest: bytes) -> None:
    """The first is the answer, the rest nobody's; the next request goes out on another connection."""
    upstream = await site.upstream(answering(OK.replace(b"\nok", b"\n1!") + rest, OK))
    client = await site.client(await site.gateway(upstream))
    assert [(await client.ask()).body for _ in range(2)] == [b"1!", b"ok"]
    assert len(upstream.lines) == 2


async def test_an_upstream_that_closes_is_told_from_one_that_is_idle(site: Site) -> None:
    """`Connection: close` is believed."""
    upstream = await site.upstream(answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"))
    client = await site.client(await site.gateway(upstream))
    for _ in range(2):
        assert (await client.ask()).all(b"connection") == []
    assert len(upstream.lines) == 2


async def test_an_upstream_that_speaks_first_is_answered_for(site: Site) -> None:
    """Its connection may end before the request goes out: that is told at once, not when its time is over."""

    async def script(line: Line) -> None:
        line.send(b"HTTP/1.1 400 Slow\r\nconnection: close\r\ncontent-length: 4\r\n\r\nslow")

    client = await site.client(await site.gateway(await site.upstream(script)))
    statuses = [(await asyncio.wait_for(client.ask(), 10)).status for _ in range(10)]
    assert set(statuses) <= {400, 502}
