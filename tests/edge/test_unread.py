"""What one side has not read when it is over: nothing of it keeps a connection, or memory of the kernel, for long."""

import socket
import struct
import sys
from collections.abc import Iterator

import pytest
from harness.client import request as asked

from edge.memory import Rig
from edge.transcript import Sent, answer, request
from edge.transports import Wire
from gateway.edge.client import CLOSING_SECONDS, LINGER_BYTES
from gateway.edge.listener import MOST_UNREAD
from gateway.edge.upstream import FLUSH_SECONDS

from .test_tunnel import HANDSHAKE, SWITCH


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def begun(rig: Rig, method: bytes, takes: bool, size: int = 0) -> tuple[Sent, Wire, Wire]:
    """A request with such a body has gone to an upstream, which takes it or not: it, and both connections."""
    sent, client = request(1, method, "public", None, size), rig.connect()
    rig.loop.do(lambda: client.feed(sent.raw))
    rig.loop.turns(3)
    upstream = rig.dialed()
    assert upstream is not None
    upstream.takes = takes
    rig.loop.turns(3)
    assert bool(upstream.out) is not takes
    return sent, client, upstream


@pytest.mark.parametrize("takes", [True, False])
def test_only_a_connection_whose_request_was_read_is_used_again(rig: Rig, takes: bool) -> None:
    """Who answers before it has read the body mostly does so to close (RFC 9112 section 9.6)."""
    sent, client, upstream = begun(rig, b"POST", takes, 700)
    rig.loop.do(lambda: upstream.feed(answer(sent, "counted", 10).raw))
    rig.loop.turns(3)
    assert client.taken.endswith(answer(sent, "counted", 10).body)
    (endpoint,) = rig.upstreams[0].endpoints
    assert (len(endpoint.idle), endpoint.open, upstream.closing) == ((1, 1, False) if takes else (0, 1, True))


@pytest.mark.parametrize("kind", ["counted", "until close"])
@pytest.mark.parametrize("reads", [True, False])
def test_an_upstream_that_has_answered_early_gets_the_rest_of_the_body(rig: Rig, kind: str, reads: bool) -> None:
    """It may have said 202, and be at it; for half a minute."""
    sent, client, upstream = begun(rig, b"POST", False, 700)
    rig.loop.do(lambda: upstream.feed(answer(sent, kind, 10).raw))
    if kind == "until close":
        rig.loop.do(upstream.eof)
    rig.loop.turns(3)
    assert (upstream.closing, upstream.lost) == (True, False)
    if reads:
        rig.loop.do(upstream.take_all)
        assert upstream.taken.endswith(sent.body)
    else:
        rig.hand.pass_(FLUSH_SECONDS + 1)
    rig.loop.turns(3)
    assert (rig.upstreams[0].endpoints[0].open, upstream.lost) == (0, True)
    assert answer(sent, kind, 10).body in client.taken


@pytest.mark.parametrize("takes", [True, False])
def test_an_upstream_that_ends_its_side_is_answered_for_at_once(rig: Rig, takes: bool) -> None:
    """What it has not read of the request is not waited for: it may never read it."""
    _, client, upstream = begun(rig, b"POST", takes, 700)
    rig.loop.do(upstream.eof)
    rig.loop.turns(3)
    assert client.taken.startswith(b"HTTP/1.1 502 ")
    assert (rig.upstreams[0].endpoints[0].open, upstream.lost) == (0, True)


def answered_unread(rig: Rig) -> Wire:
    """An upstream's connection that is kept, though it has answered a GET without reading it."""
    sent, _, upstream = begun(rig, b"GET", False)
    rig.loop.do(lambda: upstream.feed(answer(sent, "counted", 10).raw))
    rig.loop.turns(3)
    assert (len(rig.upstreams[0].endpoints[0].idle), upstream.lost) == (1, False)
    return upstream


def test_an_idle_connection_with_something_unread_is_gone_when_its_time_is_over(rig: Rig) -> None:
    """A GET was answered before it was read; nobody reads it later."""
    upstream = answered_unread(rig)
    rig.sweep(100)
    assert (rig.upstreams[0].endpoints[0].open, upstream.lost) == (0, True)


def test_a_tunnel_is_over_when_its_upstream_has_ended_and_takes_no_more(rig: Rig) -> None:
    """What the tunnel still holds for it has its time, and no longer."""
    client = rig.connect()
    rig.loop.do(lambda: client.feed(asked("/public/x", *HANDSHAKE)))
    rig.loop.turns(3)
    upstream = rig.dialed()
    assert upstream is not None
    rig.loop.turns(3)
    rig.loop.do(lambda: upstream.feed(SWITCH))
    upstream.takes = False
    rig.loop.do(lambda: client.feed(b"\x81\x80mask"))
    rig.loop.do(upstream.eof)
    rig.hand.pass_(FLUSH_SECONDS - 1)
    rig.loop.turns(3)
    assert (upstream.closing, upstream.lost, len(rig.edge.tunnels)) == (True, False, 1)
    rig.hand.pass_(2)
    rig.loop.turns(3)
    assert (upstream.lost, client.closing, len(rig.edge.tunnels)) == (True, True, 0)


def test_a_full_oldest_connection_makes_room_at_once(rig: Rig) -> None:
    """What was idle, with a GET that was answered before it was read, closes without being read."""
    upstream = answered_unread(rig)
    (endpoint,) = rig.upstreams[0].endpoints
    assert rig.loop.do(endpoint.close_oldest)
    rig.loop.turns(3)
    assert (endpoint.open, upstream.lost) == (0, True)


def refused(rig: Rig) -> Wire:
    """A client that was told no, and reads on."""
    client = rig.connect()
    rig.loop.do(lambda: client.feed(b"GET /public/x HTTP/1.1\r\n\r\n"))
    assert (client.taken.startswith(b"HTTP/1.1 400 "), client.ended, client.closing) == (True, True, False)
    return client


def goes_on(rig: Rig, client: Wire, more: int = 1) -> None:
    rig.loop.do(lambda: client.feed(b"x" * (LINGER_BYTES + more)))


def test_only_so_many_linger_that_send_more_than_is_read(rig: Rig) -> None:
    """Of each the kernel holds megabytes. The one that was first ends for the one that is too many."""
    greedy = [refused(rig) for _ in range(MOST_UNREAD + 2)]
    for client in greedy[:MOST_UNREAD]:
        goes_on(rig, client)
        assert not client.reading
    assert not any(client.closing for client in greedy)
    for number in (0, 1):
        goes_on(rig, greedy[MOST_UNREAD + number])
        assert [client.closing for client in greedy[:3]] == [True, number == 1, False]


def test_whoever_sends_little_more_lingers_for_the_whole_second(rig: Rig) -> None:
    """However many they are."""
    modest = [refused(rig) for _ in range(MOST_UNREAD + 2)]
    for client in modest:
        goes_on(rig, client, more=0)
        assert client.reading
    assert not any(client.closing for client in modest)
    rig.sweep(2)
    rig.loop.turns(MOST_UNREAD)
    assert all(client.closing for client in modest)


def test_whoever_has_gone_keeps_no_place_among_those_that_linger(rig: Rig) -> None:
    """The place is the next one's."""
    greedy = [refused(rig) for _ in range(MOST_UNREAD + 1)]
    for client in greedy[:MOST_UNREAD]:
        goes_on(rig, client)
    rig.loop.do(greedy[5].abort)
    rig.loop.turns(3)
    goes_on(rig, greedy[MOST_UNREAD])
    assert [client.closing for client in greedy] == [number == 5 for number in range(MOST_UNREAD + 1)]


def test_one_that_lingers_and_has_not_taken_its_answer_is_cut(rig: Rig) -> None:
    """Else it would keep what it sent in the kernel for as long as it likes; the others' answers go out."""
    greedy = [rig.connect() for _ in range(MOST_UNREAD + 2)]
    greedy[0].takes = greedy[1].takes = False
    for client in greedy:
        rig.loop.do(lambda client=client: client.feed(b"GET /public/x HTTP/1.1\r\n\r\n"))
        goes_on(rig, client)
    rig.loop.turns(3)
    assert [client.lost for client in greedy[:3]] == [True, True, False]


class Acknowledging:
    """The socket of a client whose kernel has taken so many bytes, whatever it left in the gateway's buffers."""

    family = socket.AF_INET

    def __init__(self, sock: socket.socket) -> None:
        self.acknowledged = 0
        self.fileno = sock.fileno

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        return bytes(size - 8) + struct.pack("Q", self.acknowledged)


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell what a peer has acknowledged")
def test_a_client_is_not_cut_while_it_takes_what_is_in_other_buffers(rig: Rig) -> None:
    """Those of TLS and of the kernel fill up again as it takes from them, so what is in ours tells nothing."""
    client = rig.connect()
    rig.loop.do(lambda: client.feed(b"GET /public/1 HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n"))
    rig.loop.turns(3)
    upstream = rig.dialed()
    assert upstream is not None
    client.takes = False
    rig.loop.do(lambda: upstream.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n" + b"x" * 9000))
    one, other = socket.socketpair()
    with one, other:
        told = client._extra["socket"] = Acknowledging(one)
        for _ in range(3):
            told.acknowledged += 1000
            rig.sweep(CLOSING_SECONDS + 1)
            assert not client.lost
        rig.sweep(CLOSING_SECONDS + 1)
        assert client.lost
