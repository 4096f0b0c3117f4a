"""What the kernel is asked about connections."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

from harness.client import request
from harness.site import Site
from harness.upstream import Line

from gateway.edge.sockets import IDLE_SECONDS, UNSENT, is_reset, tune, unsent

WINDOW: Final = 64 * 1024


async def test_both_sides_of_the_gateway_probe_silent_peers_and_send_little_ahead(site: Site) -> None:
    """A client or an upstream that lost its power says nothing any more; one that does not read takes nothing."""

    async def script(line: Line) -> None:
        await line.request()
        await line.gone()

    upstream = await site.upstream(script)
    running = await site.gateway(upstream)
    client = await site.client(running)
    await client.send(request())
    await upstream.got()
    (ours,) = running.gateway.edge.clients
    assert ours.active is not None
    connection = ours.active._connection
    assert connection is not None
    for transport in (ours.transport, connection.transport):
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == IDLE_SECONDS
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT


def test_a_socket_that_is_not_tcp_is_left_alone() -> None:
    """Our own application is behind a socketpair."""
    one, other = socket.socketpair()
    with one, other:
        tune(one)
        assert not one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_the_kernel_takes_little_for_a_peer_that_does_not_read() -> None:
    """It would take megabytes of each answer otherwise, at the cost of the time to read them from the upstream."""
    assert filled(tune) <= UNSENT + WINDOW < filled(lambda sock: None)


def filled(prepare: Callable[[socket.socket], None]) -> int:
    """The bytes that a connection takes whose other end has a window that is smaller, and does not read."""
    with socket.socket() as listening, socket.socket() as theirs:
        prepare(listening)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW // 2)  # the kernel doubles it, socket(7)
        theirs.connect(listening.getsockname())
        ours, _ = listening.accept()
        with ours:
            ours.setblocking(False)
            sent = 0
            while True:
                try:
                    sent += ours.send(bytes(1 << 16))
                except BlockingIOError:
                    return sent


async def test_what_a_peer_has_not_taken_is_counted() -> None:
    """None, before anything was sent and once the socket is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as sock:
        assert unsent(sock) == 0
        sock.setblocking(False)
        while True:
            try:
                sock.send(b"x" * 65536)
            except BlockingIOError:
                break
        await asyncio.sleep(0)
        assert unsent(sock) > 0
    assert unsent(sock) == unsent(None) == 0


def test_a_reset_is_seen_where_nobody_reads() -> None:
    """Nothing else is one: not a side that sends no more, nor a transport that tells of no socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as sock:
        ours, _ = listening.accept()
        with ours:
            sock.sendall(b"unread")
            assert (is_reset(ours), is_reset(None)) == (False, False)
            sock.shutdown(socket.SHUT_WR)
            assert not is_reset(ours)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
            assert is_reset(ours)
        assert is_reset(ours)
