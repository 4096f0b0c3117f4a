"""Upstreams that have not read all of a request, or of a tunnel, when it is over: nothing of it keeps a connection."""

from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from edge.memory import Rig
from edge.transcript import Sent, answer, request
from edge.transports import Wire
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
