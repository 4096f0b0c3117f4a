"""What the kernel is asked about connections."""

import socket
import struct
import sys

import pytest
from harness.client import request
from harness.site import Site
from harness.upstream import Line

from gateway.edge.sockets import IDLE_SECONDS, acknowledged, is_reset, keep_alive


async def test_both_sides_of_the_gateway_probe_silent_peers(site: Site) -> None:
    """A client or an upstream that lost its power says nothing any more."""

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


def test_a_socket_that_is_not_tcp_is_left_alone() -> None:
    """Our own application is behind a socketpair."""
    one, other = socket.socketpair()
    with one, other:
        keep_alive(one)
        assert not one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
def test_what_a_peer_has_acknowledged_is_counted() -> None:
    """Whether it has read it or not; of what is closed, or no TCP, nothing is known."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as sock:
        before = acknowledged(sock)
        assert before is not None
        ours, _ = listening.accept()
        with ours:
            sock.sendall(b"x" * 1000)
            assert len(ours.recv(1000, socket.MSG_WAITALL)) == 1000
            assert acknowledged(sock) == before + 1000
    assert acknowledged(sock) is acknowledged(None) is None
    one, other = socket.socketpair()
    with one, other:
        assert acknowledged(one) is None


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
