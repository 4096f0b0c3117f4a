"""Connections take turns: whoever sends without end does not keep the loop from the others."""

import asyncio
import gc
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from harness.client import request
from harness.site import Running, Site

from edge import transcript
from edge.memory import Rig
from edge.transports import Wire
from gateway.edge.read_queues import FEW, read_queues
from gateway.edge.sockets import LARGE, READ
from gateway.edge.turns import AT_ONCE

SIZE = 96 << 20
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"


class Meter:
    """most: bytes that one turn of the loop has read, of the exchange under way. name: of what counts them there."""

    def __init__(self, running: Running, name: str) -> None:
        self.most = self._last = 0
        self._running, self._name = running, name
        self._handle = asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        for client in self._running.gateway.edge.clients:
            if client.active is not None:
                now = getattr(client.active, self._name)
                self.most, self._last = max(self.most, now - self._last), now
        self._handle = asyncio.get_running_loop().call_soon(self._turn)

    def stop(self) -> None:
        self._handle.cancel()


def sending(listener: socket.socket) -> None:
    """An upstream in a thread of its own, with an answer of so many bytes."""
    sock, _ = listener.accept()
    with sock:
        sock.recv(1 << 16)
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % SIZE)
        _flood(sock)


def taking(listener: socket.socket) -> None:
    """An upstream in a thread of its own, that takes so many bytes."""
    sock, _ = listener.accept()
    with sock:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(1 << 16)
        _drain(sock, SIZE - len(head.partition(b"\r\n\r\n")[2]))
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def _flood(sock: socket.socket) -> None:
    piece = bytes(1 << 20)
    for _ in range(SIZE >> 20):
        sock.sendall(piece)


def _drain(sock: socket.socket, left: int) -> None:
    while left > 0:
        left -= len(sock.recv(1 << 20)) or left


def download(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=50) as sock:
        sock.sendall(request("/public/x"))
        _drain(sock, SIZE)


def upload(address: tuple[str, int]) -> bytes:
    with socket.create_connection(address, timeout=50) as sock:
        sock.sendall(request("/public/x", b"Content-Length: %d" % SIZE, method="POST"))
        _flood(sock)
        return sock.recv(1 << 16)


@pytest.mark.parametrize(
    ("upstream", "client", "counted"),
    [(sending, download, "bytes_out"), (taking, upload, "bytes_in")],
    ids=["down", "up"],
)
async def test_one_turn_takes_one_read_of_a_connection(
    site: Site,
    upstream: Callable[[socket.socket], None],
    client: Callable[[tuple[str, int]], object],
    counted: str,
) -> None:
    """However much more is there: the others come first, and then the rest."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = await site.gateway(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=upstream, args=(listener,))
        thread.start()
        meter = Meter(running, counted)
        await asyncio.to_thread(client, running.gateway.address)
        await asyncio.to_thread(thread.join)
        meter.stop()
    assert 0 < meter.most <= 2 * READ


@pytest.mark.parametrize("side", ["clients", "upstreams"])
async def test_one_connection_is_read_on_in_a_turn(side: str) -> None:
    """In the order of their large reads, those that come meanwhile last; that one fails is not felt by the others."""
    loop, turn = asyncio.get_running_loop(), 0
    queue = getattr(read_queues(loop), side)
    order: list[tuple[str, int]] = []

    def reads_on(name: str) -> Callable[[], bool]:
        def read_on() -> bool:
            order.append((name, turn))
            if name == "a":
                queue.add(reads_on("again"), loop)
            if name == "b":
                raise OSError("it is gone")
            return name != "closed"

        return read_on

    failed: list[object] = []
    loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))
    for name in ("a", "closed", "b", "c"):
        queue.add(reads_on(name), loop)
    for turn in range(6):  # noqa: B007 - what is read on tells it
        await asyncio.sleep(0)
    assert order == [("a", 0), ("closed", 1), ("b", 1), ("c", 2), ("again", 3)]
    assert [str(error) for error in failed] == ["it is gone"]


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def others(rig: Rig, count: int) -> None:
    """So many of either side have their turn before the next one."""
    reads = rig.edge.reads
    rig.loop.do(
        lambda: [side.add(lambda: True, rig.loop) for _ in range(count) for side in (reads.clients, reads.upstreams)]
    )


def asked(rig: Rig, question: bytes) -> tuple[Wire, Wire]:
    """Both connections of a request that has begun to go out."""
    client = rig.connect()
    rig.loop.do(lambda: client.feed(question))
    rig.loop.turns(3)
    upstream = rig.dialed()
    assert upstream is not None
    rig.loop.turns(3)
    return client, upstream


def test_a_client_is_not_read_on_before_its_turn(rig: Rig) -> None:
    """Whatever its upstream takes meanwhile."""
    head = b"POST /public/x HTTP/1.1\r\nHost: h\r\nx-n: 1\r\nContent-Length: %d\r\n\r\n" % (3 * READ)
    client, upstream = asked(rig, head)
    others(rig, 10)
    upstream.takes = False
    rig.loop.do(lambda: client.feed(b"x" * READ))
    assert not client.reading
    rig.loop.do(upstream.take_all)
    assert not client.reading
    rig.loop.turns(5)
    assert not client.reading
    rig.loop.turns(10)
    assert client.reading


ENDLESS = b"GET /public/x HTTP/1.1\r\nHost: h\r\n" + b"x-filler: %s\r\n" % (b"a" * 1000) * (2 * LARGE // 1000)
POST = b"POST /public/x HTTP/1.1\r\nHost: h\r\nx-n: 1\r\nContent-Length: %d\r\n\r\n" % LARGE + b"x" * LARGE


def test_of_what_begins_with_a_large_read_one_has_a_turn(rig: Rig) -> None:
    """Heads without end, that come in one turn, are not refused in one; nor is any more of them read."""
    clients = [rig.connect() for _ in range(8)]
    rig.loop.do(lambda: [client.feed(ENDLESS) for client in clients])
    refused: list[int] = []

    async def watch() -> None:
        for _ in range(24):
            refused.append(sum(client.taken.startswith(b"HTTP/1.1 431 ") for client in clients))
            assert not any(client.reading for client in clients)
            await asyncio.sleep(0)

    rig.loop.run_until_complete(watch())
    assert max(now - before for before, now in pairwise(refused)) == 1
    assert (refused[-1], [client.closing for client in clients]) == (8, [False] * 8)


def test_a_large_read_that_is_a_request_goes_on_after_its_turn(rig: Rig) -> None:
    """Nothing of it is lost, and what comes behind it is read."""
    client = rig.connect()
    rig.loop.do(lambda: client.feed(POST))
    rig.loop.turns(3)
    upstream = rig.dialed()
    assert upstream is not None
    rig.loop.turns(3)
    assert upstream.taken.endswith(b"x" * LARGE)
    rig.loop.do(lambda: upstream.feed(ANSWER % 2 + b"ok"))
    rig.loop.turns(3)
    rig.loop.do(lambda: client.feed(transcript.request(2, b"GET", "public", None).raw))
    rig.loop.turns(3)
    assert (upstream.taken.count(b"x-n: 2"), client.reading) == (1, True)


def test_a_request_that_waits_for_its_turn_to_be_looked_at_is_answered(rig: Rig) -> None:
    """Though its connection looks idle when the gateway stops."""
    client = rig.connect()
    others(rig, 5)
    rig.loop.do(lambda: client.feed(POST))
    rig.loop.do(lambda: [found.drain() for found in rig.edge.clients])
    rig.loop.turns(10)
    upstream = rig.dialed()
    assert upstream is not None
    rig.loop.turns(3)
    rig.loop.do(lambda: upstream.feed(ANSWER % 2 + b"ok"))
    rig.loop.turns(3)
    assert client.taken.endswith(b"ok")


def test_a_large_read_of_a_client_that_takes_nothing_is_the_last(rig: Rig) -> None:
    """Else it could send for ever, and all of it would be kept. When it takes its answers, it is read on."""
    client, upstream = asked(rig, transcript.request(1, b"GET", "public", None).raw)
    client.takes = False
    rig.loop.do(lambda: upstream.feed(ANSWER % (READ - 100) + b"x" * (READ - 100)))
    rig.loop.do(lambda: client.feed(POST))
    rig.loop.turns(9)
    assert not client.reading
    rig.loop.do(client.take_all)
    rig.loop.turns(9)
    assert (client.reading, upstream.taken.endswith(b"x" * LARGE)) == (True, True)


def test_pipelines_that_begin_with_a_large_read_have_no_more_at_once_than_others(rig: Rig) -> None:
    """So many requests of all together, and one of each."""
    clients = [rig.connect() for _ in range(20)]
    pipeline = b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n" * (2 * LARGE // 36)
    rig.loop.do(lambda: [client.feed(pipeline) for client in clients])
    seen: list[int] = []

    async def watch() -> None:
        for _ in range(300):
            seen.append(sum(client.taken.count(b"HTTP/1.1 404 ") for client in clients))
            await asyncio.sleep(0)

    rig.loop.run_until_complete(watch())
    assert 0 < max(now - before for before, now in pairwise(seen)) <= AT_ONCE + len(clients)


@pytest.mark.parametrize("before", [b"", POST[:20]], ids=["idle", "amid a head"])
def test_what_has_come_in_time_is_not_late_because_it_waits(rig: Rig, before: bytes) -> None:
    """The deadline passes before it is looked at; one that passes later still ends the connection."""
    client = rig.connect()
    rig.loop.do(lambda: client.feed(before) if before else None)
    others(rig, 20)
    rig.loop.do(lambda: client.feed(POST[len(before) :]))
    rig.sweep(1000.0)
    assert (bytes(client.taken), client.closing) == (b"", False)
    rig.loop.turns(40)
    assert len(rig.dials) == 1


def test_few_hold_what_they_have_read(rig: Rig) -> None:
    """The others' is looked at when it comes: it would be kept, however many they are."""
    clients = [rig.connect() for _ in range(FEW + 5)]
    rig.loop.do(lambda: [client.feed(ENDLESS) for client in clients])
    assert [bool(client.taken) for client in clients] == [False] * FEW + [True] * 5


def test_a_client_that_is_gone_is_noticed_while_it_is_not_read(rig: Rig) -> None:
    """Its turn to be read on is to come; what it asked for would begin for nobody."""
    client, (ours, theirs) = rig.connect(), socket.socketpair()
    client._extra["socket"] = ours  # type: ignore[attr-defined]
    found = next(iter(rig.edge.clients))
    with ours:
        rig.loop.do(lambda: client.feed(POST))
        assert not found.is_lost
        theirs.close()
        assert found.is_lost


def test_who_has_sent_no_request_when_the_gateway_stops_is_closed(rig: Rig) -> None:
    """Empty lines, that come before a request, are looked at first."""
    client = rig.connect()
    others(rig, 5)
    rig.loop.do(lambda: client.feed(b"\r\n" * LARGE))
    rig.edge.draining = True
    rig.loop.do(lambda: [found.drain() for found in rig.edge.clients])
    assert not client.closing
    rig.loop.turns(10)
    assert client.closing


def test_a_large_read_of_a_connection_that_closes_takes_no_more_turns(rig: Rig) -> None:
    """However long its client takes to take the rest of what was written."""
    client = rig.connect()
    client.takes = False
    rig.loop.do(lambda: client.write(b"what is left"))
    rig.loop.do(lambda: client.feed(POST))
    rig.loop.do(lambda: [found.close() for found in rig.edge.clients])
    rig.loop.turns(5)
    assert not rig.edge.reads.clients
    assert not client.lost


def test_a_large_read_whose_client_is_gone_is_not_looked_at(rig: Rig) -> None:
    """Its turn comes all the same."""
    client = rig.connect()
    rig.loop.do(lambda: client.feed(POST))
    rig.loop.do(lambda: client.fall(ConnectionResetError()))
    rig.loop.turns(5)
    assert (rig.dials, rig.lines, len(rig.edge.clients)) == ([], [], 0)


def test_a_large_read_that_is_no_request_is_read_on(rig: Rig) -> None:
    """It has an end: closing with the rest unread would reset the connection, and the answer with it."""
    client = rig.connect()
    rig.loop.do(lambda: client.feed(b"nonsense\r\n\r\n" + b"x" * LARGE))
    rig.loop.turns(5)
    assert (client.taken[:13], client.reading) == (b"HTTP/1.1 400 ", True)


@pytest.mark.parametrize("answers", [False, True], ids=["an upstream says nothing", "the client takes nothing"])
def test_what_nobody_looks_at_puts_no_deadline_off(rig: Rig, answers: bool) -> None:
    """A client that sends at full rate behind its last request has a large read waiting whenever one is looked for."""
    client, upstream = asked(rig, b"GET /public/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    if answers:
        client.takes = False
        rig.loop.do(lambda: upstream.feed(ANSWER % (2 * LARGE) + b"x" * LARGE))
    for _ in range(10):
        if not client.closing:
            rig.loop.do(lambda: client.feed(b"x" * READ))
            rig.sweep(60)
    assert upstream.lost


def test_a_body_that_waits_for_its_turn_is_not_late(rig: Rig) -> None:
    """What comes of it has come."""
    client, _ = asked(rig, b"POST /public/x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (3 * READ))
    others(rig, 50)
    rig.loop.do(lambda: client.feed(b"x" * READ))
    rig.sweep(400)
    assert (client.taken, client.reading) == (b"", False)
    rig.loop.turns(60)
    assert client.reading
    rig.sweep(400)
    assert client.taken.startswith(b"HTTP/1.1 408 ")


async def test_a_loop_that_is_closed_is_not_kept() -> None:
    """Nor what waited in it."""
    loop = asyncio.new_event_loop()
    read_queues(loop).clients.add(lambda: True, loop)
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None
