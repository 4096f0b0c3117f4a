"""Upstreams that send much, and whoever waits meanwhile: turns, and none for TLS."""

import pytest
from harness.client import request

from edge import transcript
from edge.memory import Rig
from edge.transports import Wire
from gateway.edge.sockets import LARGE, READ
from gateway.edge.upstream import UNTURNED, UpstreamConnection

from .test_tunnel import HANDSHAKE, SWITCH
from .test_turns import ANSWER, asked, others, rig

__all__ = ["rig"]


def test_an_upstream_is_not_read_on_before_its_turn(rig: Rig) -> None:
    """Whatever its client takes meanwhile; and it has one turn for one full read."""
    _, upstream = asked(rig, transcript.request(1, b"GET", "public", None).raw)
    others(rig, 10)
    rig.loop.do(lambda: upstream.feed(ANSWER % (2 * READ) + b"x" * READ))
    connection = rig.lines[-1][1]
    for paused in (True, False):
        rig.loop.do(lambda paused=paused: connection.pause(paused))
        assert not upstream.reading
    rig.loop.turns(5)
    assert not upstream.reading
    rig.loop.turns(10)
    assert upstream.reading


def test_an_upstream_whose_client_takes_nothing_is_not_read_on_in_its_turn(rig: Rig) -> None:
    """But when the client goes on."""
    client, upstream = asked(rig, transcript.request(1, b"GET", "public", None).raw)
    client.takes = False
    rig.loop.do(lambda: upstream.feed(ANSWER % (2 * READ) + b"x" * READ))
    rig.loop.turns(5)
    assert not upstream.reading
    rig.loop.do(client.take_all)
    assert upstream.reading


def test_an_upstream_whose_answer_ends_in_a_full_read_is_not_used_again(rig: Rig) -> None:
    """What else it has sent is still to be read, and would be taken for the next answer."""
    _, upstream = asked(rig, transcript.request(1, b"GET", "public", None).raw)
    rig.loop.do(lambda: upstream.feed(ANSWER % READ + b"x" * READ))
    rig.loop.turns(3)
    assert (rig.upstreams[0].endpoints[0].idle, upstream.lost) == ([], True)


def encrypted(connection: UpstreamConnection) -> UpstreamConnection:
    """As if its transport were uvloop's of TLS, which throws away what it holds while reading is paused, once the
    upstream closes."""
    connection._encrypted = True
    return connection


def test_a_tls_upstream_takes_no_turns(rig: Rig) -> None:
    """Others' would be the time in which its end is lost. A full read at the end of an answer is its last."""
    _, upstream = asked(rig, transcript.request(1, b"GET", "public", None).raw)
    encrypted(rig.lines[-1][1])
    others(rig, 10)
    rig.loop.do(lambda: upstream.feed(ANSWER % (2 * READ) + b"x" * READ))
    assert upstream.reading
    rig.loop.do(lambda: upstream.feed(b"x" * READ))
    rig.loop.turns(3)
    assert (rig.upstreams[0].endpoints[0].idle, upstream.lost) == ([], True)


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("tls", [True, False])
def test_an_end_that_may_be_none_is_told_as_a_break(rig: Rig, tls: bool, goes_on: bool) -> None:
    """An answer until the close, of which TLS may have lost a part as its client was slow: it must not look whole. The
    client may go on before the close is told, which the loop does some turns after it."""
    client, upstream = asked(rig, transcript.request(1, b"GET", "public", None).raw)
    connection = rig.lines[-1][1]
    if tls:
        encrypted(connection)
    client.takes = False
    rig.loop.do(lambda: upstream.feed(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000))
    if goes_on:
        rig.loop.do(client.take_all)
        assert upstream.reading
    rig.loop.do(lambda: connection.connection_lost(None))
    rig.loop.do(client.take_all)
    rig.loop.turns(3)
    assert client.taken.endswith(b"\r\n0\r\n\r\n") is not tls
    if tls:
        assert client.lost


def test_an_end_after_more_of_a_tls_upstream_is_one(rig: Rig) -> None:
    """What comes after a pause tells that nothing was lost in it."""
    client, upstream = asked(rig, transcript.request(1, b"GET", "public", None).raw)
    connection = encrypted(rig.lines[-1][1])
    client.takes = False
    rig.loop.do(lambda: upstream.feed(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000))
    rig.loop.do(client.take_all)
    client.takes = True
    rig.loop.do(lambda: upstream.feed(b"end"))
    rig.loop.do(lambda: connection.connection_lost(None))
    rig.loop.turns(3)
    assert client.taken.endswith(b"end\r\n0\r\n\r\n")


def streamed(rig: Rig, size: int = LARGE, ahead: int = 10) -> Wire:
    """The upstream of an answer that has had so many large reads that it takes turns, and has one of this size. ahead:
    connections that have their turn before it."""
    _, upstream = asked(rig, transcript.request(1, b"GET", "public", None).raw)
    others(rig, ahead)
    head = ANSWER % (UNTURNED * LARGE + size + LARGE)
    rig.loop.do(lambda: upstream.feed(head + b"x" * LARGE))
    for _ in range(UNTURNED - 1):
        rig.loop.do(lambda: upstream.feed(b"x" * LARGE))
    assert upstream.reading
    rig.loop.do(lambda: upstream.feed(b"x" * size))
    return upstream


@pytest.mark.parametrize(("size", "reading"), [(LARGE, False), (LARGE - 1, True)])
def test_an_answer_that_goes_on_takes_turns(rig: Rig, size: int, reading: bool) -> None:
    """Also where no read fills the buffer: many that begin at once would make turns long. Small reads take none."""
    upstream = streamed(rig, size)
    assert upstream.reading is reading
    rig.loop.turns(15)
    assert upstream.reading


def test_the_next_answer_is_no_stream_yet(rig: Rig) -> None:
    """Of the same connection, which its client has kept."""
    client, upstream = asked(rig, transcript.request(1, b"GET", "public", None).raw)
    body = UNTURNED * [b"x" * LARGE]
    for _ in range(2):
        for part in (ANSWER % (len(body) * LARGE), *body):
            rig.loop.do(lambda part=part: upstream.feed(part))
            assert upstream.reading
        rig.loop.do(lambda: client.feed(transcript.request(1, b"GET", "public", None).raw))
        rig.loop.turns(3)
    assert len(rig.lines) == 1


@pytest.mark.parametrize("tls", [True, False])
def test_an_answer_that_ends_with_a_large_read_leaves_its_connection_for_the_next(rig: Rig, tls: bool) -> None:
    """As that read was not full, nothing is behind it. That there was a full one before changes nothing."""
    _, upstream = asked(rig, transcript.request(1, b"GET", "public", None).raw)
    if tls:
        encrypted(rig.lines[-1][1])
    rig.loop.do(lambda: upstream.feed(ANSWER % (READ + LARGE) + b"x" * READ))
    rig.loop.turns(3)
    rig.loop.do(lambda: upstream.feed(b"x" * LARGE))
    rig.loop.turns(3)
    assert (len(rig.upstreams[0].endpoints[0].idle), upstream.reading) == (1, True)


def test_the_rest_of_an_answer_does_not_wait_behind_uploads(rig: Rig) -> None:
    """Each side has its turns."""
    _, upstream = asked(rig, transcript.request(1, b"GET", "public", None).raw)
    rig.loop.do(lambda: [rig.edge.reads.clients.add(lambda: True, rig.loop) for _ in range(10)])
    rig.loop.do(lambda: upstream.feed(ANSWER % (2 * READ) + b"x" * READ))
    assert not upstream.reading
    rig.loop.turns(2)
    assert upstream.reading


def test_what_is_closed_gives_its_turn_to_the_next(rig: Rig) -> None:
    """Else hundreds of downloads that have ended would be waited for."""
    clients = [asked(rig, transcript.request(1, b"GET", "public", None).raw)[0] for _ in range(8)]
    wires = [wire for wire, _ in rig.lines]
    rig.loop.do(lambda: [wire.feed(ANSWER % (2 * READ) + b"x" * READ) for wire in wires])
    rig.loop.do(lambda: [client.fall(ConnectionResetError()) for client in clients[:-1]])
    rig.loop.turns(2)
    assert wires[-1].reading


def test_an_answer_that_waits_for_its_turn_is_not_late(rig: Rig) -> None:
    """Its upstream has sent it; how long it waits is not its upstream's fault."""
    upstream = streamed(rig, ahead=50)
    rig.sweep(400)
    rig.loop.turns(5)
    client = next(iter(rig.edge.clients))
    assert (upstream.lost, upstream.reading, client.active is not None) == (False, False, True)
    rig.loop.turns(60)
    assert upstream.reading
    rig.sweep(400)  # now it is
    rig.loop.turns(5)
    assert upstream.lost


def test_a_tls_upstream_makes_nobody_wait(rig: Rig) -> None:
    """It is in no queue."""
    _, upstream = asked(rig, transcript.request(1, b"GET", "public", None).raw)
    encrypted(rig.lines[-1][1])
    rig.loop.do(lambda: upstream.feed(ANSWER % (2 * READ) + b"x" * READ))
    assert not rig.edge.reads.upstreams


def test_a_tunnel_waits_after_full_reads_alone(rig: Rig) -> None:
    """Its upstream sends as it likes."""
    _, upstream = asked(rig, request("/public/ws", *HANDSHAKE))
    rig.loop.do(lambda: upstream.feed(SWITCH))
    rig.loop.turns(3)
    others(rig, 10)
    rig.loop.do(lambda: upstream.feed(b"x" * LARGE))
    assert upstream.reading
    rig.loop.do(lambda: upstream.feed(b"x" * READ))
    assert not upstream.reading
