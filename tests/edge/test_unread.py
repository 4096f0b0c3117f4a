"""What one side has not read when it is over: nothing of it keeps a connection, or memory of the kernel, for long."""

from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from edge.memory import Rig
from edge.transcript import Sent, answer, request
from edge.transports import Wire
from gateway.edge.client import LINGER_BYTES
from gateway.edge.listener import MOST_UNREAD
from gateway.edge.upstream import UpstreamConnection
from gateway.wire.hops import ResponseNames


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def posted(rig: Rig, size: int, takes: bool) -> tuple[Sent, Wire, Wire]:
    """A POST with such a body has gone to an upstream, which takes it or not: what was sent, and both connections."""
    sent, client = request(1, b"POST", "public", None, size), rig.connect()
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
    sent, client, upstream = posted(rig, 700, takes)
    rig.loop.do(lambda: upstream.feed(answer(sent, "counted", 10).raw))
    rig.loop.turns(3)
    assert client.taken.endswith(answer(sent, "counted", 10).body)
    (endpoint,) = rig.upstreams[0].endpoints
    assert (len(endpoint.idle), endpoint.open, upstream.lost) == ((1, 1, False) if takes else (0, 0, True))


@pytest.mark.parametrize("takes", [True, False])
def test_an_upstream_that_ends_its_side_is_answered_for_at_once(rig: Rig, takes: bool) -> None:
    """What it has not read of the request is not waited for: it may never read it."""
    _, client, upstream = posted(rig, 700, takes)
    rig.loop.do(upstream.eof)
    rig.loop.turns(3)
    assert client.taken.startswith(b"HTTP/1.1 502 ")
    assert (rig.upstreams[0].endpoints[0].open, upstream.lost) == (0, True)


def test_an_idle_connection_with_something_unread_is_gone_when_its_time_is_over(rig: Rig) -> None:
    """A GET was answered before it was read; nobody reads it later."""
    sent, client = request(1, b"GET", "public", None), rig.connect()
    rig.loop.do(lambda: client.feed(sent.raw))
    rig.loop.turns(3)
    upstream = rig.dialed()
    assert upstream is not None
    upstream.takes = False
    rig.loop.turns(3)
    rig.loop.do(lambda: upstream.feed(answer(sent, "counted", 10).raw))
    rig.sweep(100)
    assert (rig.upstreams[0].endpoints[0].open, upstream.lost) == (0, True)


def test_what_a_tunnel_still_holds_for_an_upstream_is_waited_for(rig: Rig) -> None:
    """But not for ever, also where the upstream has ended its own side before."""
    connection = UpstreamConnection(rig.upstreams[0].endpoints[0], ResponseNames())
    wire = Wire(rig.loop, connection, "127.0.1.1")
    rig.loop.do(lambda: connection.connection_made(wire))
    connection.pipe = Mock()
    wire.takes = False
    wire.write(b"a frame")
    rig.loop.do(wire.eof)
    rig.loop.do(lambda: connection.flush(30.0))
    rig.hand.pass_(29)
    rig.loop.turns(3)
    assert (wire.closing, wire.lost) == (True, False)
    rig.hand.pass_(2)
    rig.loop.turns(3)
    assert wire.lost


def test_few_connections_linger_that_send_more_than_is_read(rig: Rig) -> None:
    """Of each the kernel holds megabytes. The others have their second, in which nothing resets what was answered."""

    def refused() -> Wire:
        client = rig.connect()
        rig.loop.do(lambda: client.feed(b"GET /public/x HTTP/1.1\r\n\r\n"))
        assert (client.taken.startswith(b"HTTP/1.1 400 "), client.ended, client.closing) == (True, True, False)
        return client

    def goes_on(client: Wire) -> None:
        rig.loop.do(lambda: client.feed(b"x" * (LINGER_BYTES + 1)))
        assert not client.reading

    modest, greedy = refused(), [refused() for _ in range(MOST_UNREAD)]
    for client in greedy:
        goes_on(client)
    assert not any(client.closing for client in (modest, *greedy))
    rig.loop.do(greedy[1].abort)
    rig.loop.turns(3)
    for _ in range(3):
        goes_on(refused())
    assert [client.closing for client in greedy[:4]] == [True, True, True, False]
    assert not modest.closing
    rig.sweep(2)
    rig.loop.turns(MOST_UNREAD)
    assert all(client.closing for client in (modest, *greedy))
