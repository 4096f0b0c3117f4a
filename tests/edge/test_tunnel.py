"""WebSocket: the handshake, bytes both ways, and every way in which a tunnel ends."""

import asyncio
import struct

import pytest
from harness.client import Answer, Client, request
from harness.people import revoke, rotate_by_force
from harness.site import Running, Site, until
from harness.upstream import OK, Line, Upstream, answering

from gateway.edge.tunnel import Borders, close_frame

HANDSHAKE = (
    b"Connection: keep-alive, Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Protocol: chat",
    b"Origin: http://gateway.test",
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
)


def frame(payload: bytes, opcode: int = 0x82) -> bytes:
    """A server's frame, unmasked."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", opcode, size) + payload
    if size < 65536:
        return struct.pack("!BBH", opcode, 126, size) + payload
    return struct.pack("!BBQ", opcode, 127, size) + payload


async def echo(line: Line) -> None:
    """After the handshake, every byte comes back."""
    await line.request()
    line.send(SWITCH)
    while data := (line.take(1 << 20) or (await line.more() and line.take(1 << 20))):
        line.send(data)
        await line.writer.drain()


async def opened(site: Site, running: Running, path: str = "/public/ws", *fields: bytes) -> tuple[Client, Answer]:
    client = await site.client(running)
    await client.send(request(path, *HANDSHAKE, *fields))
    return client, await client.head()


async def test_a_websocket_is_opened(site: Site) -> None:
    """The upstream gets the handshake that it needs, the client the answer that proves it."""
    upstream = await site.upstream(echo)
    _, answer = await opened(site, await site.gateway(upstream))
    assert (answer.status, answer.one(b"sec-websocket-accept")) == (101, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    assert (answer.one(b"connection"), answer.one(b"upgrade")) == (b"upgrade", b"websocket")
    got = upstream.requests[0]
    assert (got.one(b"upgrade"), got.one(b"connection"), got.one(b"origin")) == (
        b"websocket",
        b"upgrade",
        b"http://gateway.test",
    )
    assert got.one(b"sec-websocket-key") == b"dGhlIHNhbXBsZSBub25jZQ=="


async def test_bytes_go_both_ways(site: Site) -> None:
    """Whatever they are."""
    client, _ = await opened(site, await site.gateway(await site.upstream(echo)))
    for size in (1, 125, 126, 70_000):
        sent = frame(b"x" * size)
        await client.send(sent)
        assert await client.exactly(len(sent)) == sent


async def test_frames_that_come_with_the_handshake_are_not_lost(site: Site) -> None:
    """A client may send at once, and an upstream in the same write as its 101."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(SWITCH, b"early")
        assert await line.exactly(5) == b"hello"
        line.send(b"late")
        await line.gone()

    client = await site.client(await site.gateway(await site.upstream(script)))
    await client.send(request("/public/ws", *HANDSHAKE), b"hello")
    await client.head()
    assert await client.exactly(9) == b"earlylate"


@pytest.mark.parametrize("size", [10, 20_000, 40_000, 200_000])
async def test_what_comes_behind_the_handshake_goes_on_whole(site: Site, size: int) -> None:
    """However much of it comes in the same read."""
    early, found = bytes(range(250)) * (size // 250 + 1), asyncio.get_running_loop().create_future()

    async def script(line: Line) -> None:
        await line.request()
        line.send(SWITCH)
        found.set_result(await line.exactly(len(early)))
        await line.gone()

    running = await site.gateway(await site.upstream(script))
    client = await site.client(running)
    await client.send(request("/public/ws", *HANDSHAKE) + early)
    assert await asyncio.wait_for(found, 20) == early


async def test_frames_that_come_before_the_answer_are_not_lost(site: Site) -> None:
    """While the upstream still thinks about it."""
    answer = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        await answer.wait()
        line.send(SWITCH)
        line.send(await line.exactly(100_000))
        await line.gone()

    upstream = await site.upstream(script)
    client = await site.client(await site.gateway(upstream))
    await client.send(request("/public/ws", *HANDSHAKE))
    await upstream.got()
    client.writer.write(b"x" * 100_000)
    answer.set()
    await client.head()
    assert await client.exactly(100_000) == b"x" * 100_000


async def test_what_a_client_sent_before_it_left_still_arrives(site: Site) -> None:
    """Also what the upstream was too slow to take until then."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(SWITCH)
        await left.wait()
        await line.gone()

    left = asyncio.Event()
    upstream = await site.upstream(script)
    running = await site.gateway(upstream)
    client, _ = await opened(site, running)
    (tunnel,) = running.gateway.edge.tunnels
    buffered = tunnel._upstream.transport.get_write_buffer_size
    sent = 0
    while not buffered():
        await client.send(b"x" * 4096)
        sent += 4096
        await asyncio.sleep(0)
    client.close()
    await until(lambda: not running.gateway.edge.clients)
    left.set()
    line = upstream.lines[0]
    await asyncio.wait_for(line.ended.wait(), 10)
    assert len(line.received) == len(upstream.requests[0].raw) + sent


async def test_an_answer_other_than_101_is_an_answer(site: Site) -> None:
    """Relayed, and both connections end: what the client has sent by then may be frames."""
    upstream = await site.upstream(answering(OK))
    client, answer = await opened(site, await site.gateway(upstream))
    assert (answer.status, answer.one(b"connection")) == (200, b"close")
    assert await client.rest() == b"ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.0 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: spdy\r\n\r\n",
    ],
)
async def test_a_101_that_is_not_one_is_502(site: Site, answer: bytes) -> None:
    """It must name the protocol that was asked for."""
    client = await site.client(await site.gateway(await site.upstream(answering(answer))))
    await client.send(request("/public/ws", *HANDSHAKE))
    assert (await asyncio.wait_for(client.answer(), 10)).status == 502


async def test_a_websocket_needs_what_its_route_needs(site: Site) -> None:
    """S-22: it is authorized like any request; after a refusal nothing that follows is read."""
    upstream = await site.upstream(echo)
    client, answer = await opened(site, await site.gateway(upstream), "/secure/ws")
    assert (answer.status, answer.one(b"connection")) == (401, b"close")
    await client.body(answer)
    await client.send(request("/public/x"))
    assert await client.rest() == b""
    assert not upstream.requests


async def test_a_websocket_carries_the_profile(site: Site) -> None:
    """S-1: the identity headers are the gateway's here, too."""
    upstream = await site.upstream(echo)
    running = await site.gateway(upstream)
    _, answer = await opened(site, running, "/secure/ws", running.people.ada.field, b"x-mycelium-profile: forged")
    assert answer.status == 101
    assert upstream.requests[0].one(b"x-mycelium-profile") != b"forged"


@pytest.mark.parametrize("upgrade", [b"h2c", b"TLS/1.0", b"websocket, h2c"])
async def test_other_upgrades_are_dropped(site: Site, upgrade: bytes) -> None:
    """S-23: the request goes on without it, and so does the connection."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    fields = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + upgrade, b"HTTP2-Settings: AAMAAABk")
    for _ in range(2):
        assert (await client.ask("/public/x", *fields)).status == 200
    assert not upstream.requests[0].names & {b"upgrade", b"connection", b"http2-settings"}


async def test_a_handshake_is_not_forwarded_without_its_upgrade(site: Site) -> None:
    """An upstream must not take half of it for the whole."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    await client.ask("/public/x", *HANDSHAKE[2:4])
    assert not upstream.requests[0].names & {b"sec-websocket-key", b"sec-websocket-version"}


async def test_a_client_that_closes_ends_the_tunnel(site: Site) -> None:
    """The upstream sees the end, and its connection is used for nothing else."""
    upstream = await site.upstream(echo)
    running = await site.gateway(upstream)
    client, _ = await opened(site, running)
    client.close()
    await asyncio.wait_for(upstream.lines[0].ended.wait(), 10)
    (line,) = await running.lines()
    assert (line["status"], line["reason"]) == (101, "client_gone")


async def test_an_upstream_that_closes_ends_the_tunnel(site: Site) -> None:
    """What it sent last still arrives."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(SWITCH, b"bye" * 1000)

    running = await site.gateway(await site.upstream(script))
    client, _ = await opened(site, running)
    assert await client.rest() == b"bye" * 1000
    (line,) = await running.lines()
    assert (line["status"], line["reason"], line["bytes_out"]) == (101, None, 3000)


async def _tunnel(site: Site, *sent: bytes) -> tuple[Running, Client, Upstream]:
    """As ada, with this sent by the upstream."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(SWITCH, *sent)
        await line.gone()

    upstream = await site.upstream(script)
    running = await site.gateway(upstream)
    client, answer = await opened(site, running, "/secure/ws", running.people.ada.field)
    assert answer.status == 101
    if sent:
        await client.exactly(sum(map(len, sent)))
    return running, client, upstream


async def test_a_revoked_grant_ends_its_tunnel(site: Site) -> None:
    """S-25: within a second, with a Close frame that says policy violation (1008)."""
    running, client, upstream = await _tunnel(site, frame(b"x" * 200))
    began = asyncio.get_running_loop().time()
    await revoke(running.people, running.people.ada.grant_id)
    assert await asyncio.wait_for(client.rest(), 5) == close_frame(1008)
    assert asyncio.get_running_loop().time() - began < 2.0
    await asyncio.wait_for(upstream.lines[0].ended.wait(), 5)
    (line,) = await running.lines()
    assert line["reason"] == "revoked_credential"


async def test_keys_that_are_dropped_end_every_tunnel(site: Site) -> None:
    """`gateway keys rotate --force` voids what old keys signed at once, and what rests on it."""
    running, client, _ = await _tunnel(site)
    await rotate_by_force(running.people)
    assert await asyncio.wait_for(client.rest(), 5) == close_frame(1008)


async def test_an_expired_credential_ends_its_tunnel(site: Site) -> None:
    """The clock moves past the token's end."""
    running, client, _ = await _tunnel(site)
    running.hand.ahead = 86_400 * 2
    assert await asyncio.wait_for(client.rest(), 5) == close_frame(1008)
    (line,) = await running.lines()
    assert line["reason"] == "expired_credential"


async def test_a_tunnel_of_somebody_else_goes_on(site: Site) -> None:
    """Only the grant that was revoked is over."""
    running, client, upstream = await _tunnel(site)
    other, answer = await opened(site, running, "/secure/ws", running.people.bob.field)
    assert answer.status == 101
    await revoke(running.people, running.people.ada.grant_id)
    await asyncio.wait_for(client.rest(), 5)
    assert len(running.gateway.edge.tunnels) == 1
    upstream.lines[1].send(b"still here")
    assert await other.exactly(10) == b"still here"


async def test_a_tunnel_in_a_frame_is_cut(site: Site) -> None:
    """A Close frame in the middle of another would be read as its payload."""
    running, client, _ = await _tunnel(site, frame(b"x" * 200)[:100])
    await revoke(running.people, running.people.ada.grant_id)
    assert await asyncio.wait_for(client.rest(), 5) == b""


async def test_draining_ends_a_tunnel(site: Site) -> None:
    """With a Close frame that says going away (1001)."""
    running, client, _ = await _tunnel(site)
    stopping = asyncio.create_task(running.stop())
    assert await asyncio.wait_for(client.rest(), 5) == close_frame(1001)
    client.close()
    await stopping


@pytest.mark.parametrize("to", ["client", "upstream"])
async def test_a_side_that_does_not_read_stops_the_other(site: Site, to: str) -> None:
    """Back-pressure: a few MiB are on their way at most."""
    sides: asyncio.Queue[Line] = asyncio.Queue()

    async def script(line: Line) -> None:
        await line.request()
        line.send(SWITCH)
        sides.put_nowait(line)
        await done.wait()

    done = asyncio.Event()
    client = await site.client(await site.gateway(await site.upstream(script)), receive=65536)
    await client.send(request("/public/ws", *HANDSHAKE))
    await client.head()
    line = await sides.get()
    writer = line.writer if to == "client" else client.writer
    writer.transport.set_write_buffer_limits(high=0)
    pushed = 0
    try:
        async with asyncio.timeout(1):
            while pushed < 64 << 20:
                writer.write(b"x" * 65536)
                pushed += 65536
                await writer.drain()
    except TimeoutError:
        pass
    assert pushed < 32 << 20
    if to == "client":
        await client.exactly(pushed)
    else:
        await line.exactly(pushed)
    done.set()


async def test_tunnels_are_counted(site: Site) -> None:
    """Registered while they live."""
    running, client, _ = await _tunnel(site)
    assert len(running.gateway.edge.tunnels) == 1
    client.close()
    await until(lambda: not running.gateway.edge.tunnels)


FRAMES = [frame(b""), frame(b"a"), frame(b"b" * 125), frame(b"c" * 126), frame(b"d" * 65536), close_frame(1000)]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 125, 70_000])
def test_borders_are_seen_however_the_stream_is_split(step: int) -> None:
    """Exactly after each whole frame."""
    stream = b"".join(FRAMES)
    ends = {sum(map(len, FRAMES[: count + 1])) for count in range(len(FRAMES))}
    borders, at = Borders(), 0
    while at < len(stream):
        part = stream[at : at + step]
        borders.feed(part)
        at += len(part)
        assert borders.at_one == (at in ends)


def test_a_masked_frame_is_followed_too() -> None:
    """Servers do not mask (RFC 6455 section 5.1); one that does is not misread."""
    borders = Borders()
    borders.feed(struct.pack("!BB", 0x82, 0x80 | 4) + b"mask")
    assert not borders.at_one
    borders.feed(b"data")
    assert borders.at_one


def test_two_frames_in_one_read_end_at_a_border() -> None:
    """And one and a half do not."""
    borders = Borders()
    borders.feed(frame(b"a") + frame(b"b"))
    assert borders.at_one
    borders.feed(frame(b"a") + frame(b"bb")[:-1])
    assert not borders.at_one
