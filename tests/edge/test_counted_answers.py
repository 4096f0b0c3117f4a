"""Answers whose bodies go by the parser: what was not read with the head. Where they end, and what is behind them."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise

import pytest
from harness.client import Answer, Client, request
from harness.site import Site
from harness.upstream import OK, Upstream, answering

from gateway.edge.upstream import UpstreamConnection
from gateway.wire.hops import ResponseNames

BODY = bytes(range(256)) * 200
FORGED = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
FRAMED = Answer(200, b"OK", [(b"transfer-encoding", b"chunked")], b"")


@dataclass
class Poured:
    """A first answer that has begun with one byte of its body; its upstream's side is in the test's hands."""

    client: Client
    upstream: Upstream

    def send(self, part: bytes) -> None:
        self.upstream.lines[0].send(part)

    async def goes_on(self, part: bytes) -> None:
        """In a read of its own."""
        self.send(part)
        assert await self.client.exactly(len(part)) == part

    async def connections_after(self, answers: int) -> int:
        """That the upstream has had when so many more have been asked for."""
        for _ in range(answers):
            assert (await self.client.ask()).body == b"ok"
        return len(self.upstream.lines)


async def poured(site: Site, head: bytes = b"content-length: %d\r\n" % len(BODY)) -> Poured:
    upstream = await site.upstream(answering(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + BODY[:1], OK))
    client = await site.client(await site.gateway(upstream))
    await client.send(request())
    assert (await client.head()).status == 200
    begin = BODY[:1] if head else b"1\r\n" + BODY[:1] + b"\r\n"
    assert await client.exactly(len(begin)) == begin
    return Poured(client, upstream)


@pytest.mark.parametrize("cuts", [(1, len(BODY)), (1, 2, 9, 40_000, len(BODY)), (1, len(BODY) - 1, len(BODY))])
async def test_the_connection_is_good_for_the_next_answer(site: Site, cuts: tuple[int, ...]) -> None:
    """A body that ended where it should: the parser begins anew."""
    made = await poured(site)
    for begin, end in pairwise(cuts):
        await made.goes_on(BODY[begin:end])
    assert await made.connections_after(2) == 1


async def test_an_answer_behind_the_body_is_nobodys(site: Site) -> None:
    """The client gets the body and no byte more, and nobody the connection."""
    made = await poured(site)
    await made.goes_on(BODY[1:-1])
    made.send(BODY[-1:] + FORGED)
    assert await made.client.exactly(1) == BODY[-1:]
    assert await made.connections_after(1) == 2


async def test_empty_lines_behind_the_body_are_nothing(site: Site) -> None:
    """As behind one that came with its head."""
    made = await poured(site)
    await made.goes_on(BODY[1:-1])
    made.send(BODY[-1:] + b"\r\n")
    assert await made.client.exactly(1) == BODY[-1:]
    assert await made.connections_after(1) == 1


async def test_a_body_that_breaks_off_is_cut(site: Site) -> None:
    """It is not taken for whole."""
    made = await poured(site)
    await made.goes_on(BODY[1:-1])
    made.upstream.lines[0].writer.close()
    assert await made.client.rest() == b""


async def test_a_body_that_only_the_close_ends_is_whole(site: Site) -> None:
    """In chunks to the client, the last one included."""
    made = await poured(site, head=b"")
    made.send(BODY[1:9])
    assert await made.client.exactly(13) == b"8\r\n" + BODY[1:9] + b"\r\n"
    made.send(FORGED)
    made.upstream.lines[0].writer.close()
    assert await made.client.body(FRAMED) == FORGED


async def test_a_length_of_too_many_digits_is_refused(site: Site) -> None:
    """Zeros before a number have no end; the parser takes any."""
    upstream = await site.upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %b2\r\n\r\nok" % (b"0" * 5_000)))
    client = await site.client(await site.gateway(upstream))
    refused = await client.ask()
    assert (refused.status, refused.code) == (502, "upstream_bad_answer")


class Taker:
    """In the place of an exchange and of an endpoint. took: what came of the body, by reads."""

    def __init__(self) -> None:
        self.took: list[bytes] = []
        self.connection = UpstreamConnection(self, ResponseNames())  # type: ignore[arg-type]

    def answered(self) -> None: ...

    def on_read(self) -> None:
        self.took += self.connection.pieces
        self.connection.pieces = []


async def test_a_piece_is_what_was_read() -> None:
    """The same object: nothing was copied."""
    taker = Taker()
    connection = taker.connection
    connection.connection_made(asyncio.Transport())
    connection.hold(taker, False)  # type: ignore[arg-type]
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    first, last = bytes(bytearray(b"defg")), bytes(bytearray(b"hi"))
    connection.data_received(first)
    assert not connection.done
    connection.data_received(last)
    assert connection.done
    assert taker.took[1] is first
    assert taker.took[2] is last
