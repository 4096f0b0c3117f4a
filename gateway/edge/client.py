"""One client's connection: bytes to requests, one exchange at a time, the rest in a bounded queue with reading paused."""

import asyncio
import re
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final

import httptools

from gateway.edge import answers
from gateway.edge.exchange import Exchange
from gateway.edge.tunnel import Tunnel
from gateway.errors import DependencyFailed, RequestRejected
from gateway.wire.message import Request
from gateway.wire.peer import Peer, forwarded_fields
from gateway.wire.reader import RequestReader

if TYPE_CHECKING:
    from gateway.edge.listener import Edge

# httptools cannot pause between messages: one 256 KiB read ran 10,082 callbacks in 72 ms
SLICE: Final = 16 * 1024
LINGER_SECONDS: Final = 1.0  # that are read on after the last answer, so that no reset destroys it on its way
LINGER_BYTES: Final = 64 * 1024
_NEVER: Final = float("inf")
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z").match


class Wait(Enum):
    """What the deadline of a connection is about."""

    NOTHING = 0
    REQUEST = 1  # the next head, on an idle connection
    HEAD = 2  # the rest of a head
    BODY = 3
    ANSWER = 4  # the first byte of the upstream's answer
    IDLE = 5  # the next part of the answer, or room to write it
    LINGER = 6


class State(Enum):
    OPEN = 0
    LAST = 1  # the last request has been read: what still comes is not one
    LINGERING = 2  # the last answer has gone out: what still comes is thrown away
    CLOSED = 3


class Client(RequestReader, asyncio.Protocol):
    """It is its own reader: a callback that is passed on costs a call more per header.

    active: the exchange under way. early: bytes after an upgrade request, for the tunnel. deadline: monotonic seconds.
    """

    __slots__ = (
        "_backlog",
        "_barren",
        "_body_left",
        "_fault",
        "_feeding",
        "_half_closed",
        "_incoming",
        "_lingered",
        "_partial",
        "_queue",
        "_reading",
        "_seen",
        "_state",
        "_turning",
        "_wait",
        "active",
        "address",
        "deadline",
        "early",
        "edge",
        "generation",
        "loop",
        "transport",
        "tunnel",
    )

    parser: httptools.HttpRequestParser
    transport: asyncio.Transport

    def __init__(self, edge: "Edge") -> None:
        self.generation = edge.generation
        super().__init__(self.generation.names, self.generation.limits)
        self.edge = edge
        self.loop = edge.loop
        self.active: Exchange | None = None
        self.tunnel: Tunnel | None = None
        self.early = b""
        self.address = ""
        self.deadline = _NEVER
        self._wait = Wait.NOTHING
        self._state = State.OPEN
        self._queue: deque[Exchange] = deque()
        self._incoming: Exchange | None = None
        self._body_left = self._barren = self._lingered = 0
        self._backlog: list[bytes] = []
        self._partial = self._feeding = b""
        self._reading = True
        self._turning = self._half_closed = False
        self._fault: RequestRejected | None = None
        self._seen: tuple[Peer | None, bytes, bytes] = (None, b"", b"")

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        name = transport.get_extra_info("peername")
        self.address = name[0] if isinstance(name, tuple) else ""
        self.edge.clients.add(self)
        self.edge.accepted += 1
        self._await_request()

    def data_received(self, data: bytes) -> None:
        if self.tunnel is not None:
            self.tunnel.from_client(data)
        elif self._backlog:
            self._backlog.append(data)  # reading is paused; this was on its way
        elif self._state is State.OPEN:
            self._feed(data)
        elif self._state is State.LINGERING:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES:
                self.cut()
        elif self.active is not None and self.active.request.websocket:
            self.early += data
            self.regulate()

    def eof_received(self) -> bool:
        if self.tunnel is not None or self._state is State.LINGERING or self._incoming is not None:
            return False
        if self.active is None and not self._backlog:
            return False
        self._half_closed = True  # the requests that came are still answered
        return self.transport.can_write_eof()  # with TLS there is no half-close

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = State.CLOSED
        self.deadline = _NEVER
        self.edge.clients.discard(self)
        self._queue.clear()
        self._backlog.clear()
        if self.tunnel is not None:
            self.tunnel.client_lost()
        elif self.active is not None:
            self.active.on_client_gone()

    def pause_writing(self) -> None:
        self._writable(False)

    def resume_writing(self) -> None:
        self._writable(True)

    def _writable(self, writable: bool) -> None:
        if self.tunnel is not None:
            self.tunnel.client_writable(writable)
        elif self.active is not None:
            self.active.on_client_writable(writable)

    # the parser's callbacks

    def on_request(self, request: Request) -> None:
        if request.minor == 0:
            self._check_version()
        edge = self.edge
        generation = edge.generation
        if generation is not self.generation:
            self.generation, self.names, self.limits = generation, generation.names, generation.limits
        peer = generation.trusted.resolve(self.address, request.forwarding)
        exchange = Exchange(self, request, generation, peer, edge.next_id())
        if request.request_id is not None and len(peer.chain) > 1 and _UUID(request.request_id):
            exchange.request_id = request.request_id
        self._incoming = exchange
        self._body_left = request.length or 0
        self._queue.append(exchange)

    def on_body(self, data: bytes) -> None:
        assert self._incoming is not None
        self._incoming.take(data)
        self._body_left -= len(data)
        self._barren = 0

    def on_message_complete(self) -> None:
        exchange, self._incoming = self._incoming, None
        assert exchange is not None
        exchange.received = True
        if not exchange.request.keep_alive:
            self._state = State.LAST

    def _check_version(self) -> None:
        # llhttp takes RTSP/1.0 and ICE/1.0 for version 1.0, so the request line is looked at again
        read = self._partial + self._feeding
        if b" RTSP/" in read or b" ICE/" in read or b" HTTP/1.0\r\n" not in read:
            raise RequestRejected("bad_version")

    # from bytes to exchanges

    def _feed(self, data: bytes) -> None:
        """Parses, slice by slice, until more requests wait than the one under way; the rest is kept as it is."""
        active, at = self.active, 0
        while at < len(data) and self._state is State.OPEN:
            if self._queue and self.active is not None:
                self._backlog.append(data[at:])
                break
            size = max(SLICE, self._body_left)
            part = data if at == 0 and len(data) <= size else data[at : at + size]
            at += len(part)
            self._parse(part)
            if active is not None and active is self.active:
                active.on_body()
            if self.active is None:
                self._turn()
        if self._queue or self._backlog or not self._reading or self._incoming is not None:
            self.regulate()

    def _parse(self, data: bytes) -> None:
        self._feeding = data
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as pause:
            self._upgraded(data[pause.args[0] :])
        except httptools.HttpParserError as error:
            if self._state is State.OPEN:  # else it only says that bytes follow after the last request
                self._broken(self.fault or self._unforeseen(error))
        else:
            self._measure(data)
        self._feeding = b""

    def _measure(self, data: bytes) -> None:
        """What the parser does not limit: a head, chunk extensions or trailers without end."""
        if self.raw is not None:
            self._partial += data
            if len(self._partial) > self.limits.head + SLICE:
                self._broken(RequestRejected("head_too_large"))
            elif self._wait is not Wait.HEAD and self.active is None and not self._queue:
                self._await(Wait.HEAD, self.generation.waits.head)
        else:
            self._partial = b""
            if self._incoming is not None and self._incoming.request.chunked:
                self._barren += len(data)
                if self._barren > self.limits.head + SLICE:
                    self._broken(RequestRejected("bad_framing", "The chunked body's framing has no end."))

    def _upgraded(self, rest: bytes) -> None:
        """llhttp stops after a head that asks for an upgrade, whether it is granted or not."""
        asked = self._queue[-1] if self._queue else self.active
        if asked is not None and asked.request.websocket:
            self._state = State.LAST
            self.early = rest
            return
        self.parser = httptools.HttpRequestParser(self)
        if rest and self._state is State.OPEN:
            self._parse(rest)

    def _unforeseen(self, error: httptools.HttpParserError) -> RequestRejected:
        if isinstance(error, httptools.HttpParserCallbackError) and error.__context__ is not None:
            self.edge.report(error.__context__)
        return RequestRejected("malformed_request")

    def _broken(self, fault: RequestRejected) -> None:
        """Nothing after this can be understood. What was read before it is answered first."""
        self._state = State.LAST
        broken, self._incoming = self._incoming, None
        if broken is not None and broken is self.active:
            broken.fail(fault)
            return
        if broken is not None:
            self._queue.remove(broken)
        self._fault = fault
        self._turn()

    def _turn(self) -> None:
        """Starts what waits, until something is under way or nothing is left. A loop, as many may end at once."""
        if self._turning:
            return
        self._turning = True
        while self.active is None and self._state in _ANSWERING:
            if self._queue:
                exchange = self.active = self._queue.popleft()
                try:
                    exchange.start(self.edge.clock.now())
                except Exception as error:  # whatever it was: the request does not go on
                    self.edge.report(error)
                    exchange.fail(DependencyFailed("internal_error"))
            elif self._backlog:
                data = b"".join(self._backlog)
                self._backlog.clear()
                self._feed(data)
            else:
                break
        self._turning = False
        if self.active is None and self._fault is not None:
            fault, self._fault = self._fault, None
            self._refuse(fault)
        elif self.active is None and self._half_closed and self._state in _ANSWERING:
            self.close()

    def on_exchange_over(self, exchange: Exchange, keep_alive: bool) -> None:
        """keep_alive: whether the answer has left the connection usable."""
        self.active = None
        if self._state not in _ANSWERING:
            return
        if not keep_alive:
            if exchange.received and not self.early:
                self.close()
            else:
                self.linger()
            return
        self._await_request()
        if not self._turning and (self._queue or self._backlog or self._fault or self._half_closed):
            self._turn()
        if not self._reading:
            self.regulate()

    def _refuse(self, fault: RequestRejected) -> None:
        """For what never became a request."""
        request_id = self.edge.next_id()
        answer = answers.refusal(fault, self.generation.unmatched, b"", request_id, False)
        self.transport.write(answer)
        self.edge.observe_unread(self, fault, request_id)
        self.linger()

    # for the exchange: who is asking

    def forwarded(self, exchange: Exchange) -> bytes:
        """The X-Forwarded-* and Forwarded lines for the upstream; the same from request to request, mostly."""
        peer, host, lines = self._seen
        if peer is not exchange.peer or host != exchange.request.host:
            peer, host = exchange.peer, exchange.request.host
            lines = forwarded_fields(peer, host, self.generation.scheme)
            self._seen = (peer, host, lines)
        return lines

    # reading, waiting, closing

    def regulate(self) -> None:
        """Reads on, or not: while requests wait, or what was read cannot go on, the client has to."""
        if self.transport.is_closing():
            return
        if self.tunnel is not None:
            wanted = not self.tunnel.clogged
        elif self._state is State.LINGERING:
            wanted = True
        else:
            active = self.active
            waiting = self._queue or self._backlog or len(self.early) > SLICE
            wanted = not waiting and (active is None or not active.clogged)
        if wanted is not self._reading:
            self._reading = wanted
            (self.transport.resume_reading if wanted else self.transport.pause_reading)()

    def wait_answer(self, seconds: float) -> None:
        self._await(Wait.ANSWER, seconds)

    def wait_idle(self, seconds: float) -> None:
        self._await(Wait.IDLE, seconds)

    def wait_body(self) -> None:
        self._await(Wait.BODY, self.generation.waits.body_idle)

    def wait_nothing(self) -> None:
        self.deadline = _NEVER

    def _await_request(self) -> None:
        if self.edge.draining and not self._queue:
            self.close()
            return
        if self.raw is None:
            self._await(Wait.REQUEST, self.generation.waits.keep_alive)
        else:
            self._await(Wait.HEAD, self.generation.waits.head)

    def _await(self, wait: Wait, seconds: float) -> None:
        self._wait = wait
        self.deadline = self.loop.time() + seconds

    def overdue(self) -> None:
        """The deadline has passed."""
        self.deadline = _NEVER
        active = self.active
        match self._wait:
            case Wait.HEAD:
                self._state = State.LAST
                self._refuse(RequestRejected("head_timeout"))
            case Wait.BODY if active is not None and not active.clogged:
                active.fail(RequestRejected("body_timeout"))
            case Wait.BODY | Wait.ANSWER | Wait.IDLE if active is not None:
                active.fail(DependencyFailed("upstream_timeout"))
            case _:
                self.cut() if self._wait is Wait.LINGER else self.close()

    def drain(self) -> None:
        """The gateway stops: an idle connection closes now, another with its answer."""
        if self.active is None and self.tunnel is None and self.raw is None and self._state is State.OPEN:
            self.close()

    def close(self) -> None:
        """What was written still goes out."""
        self.transport.close()

    def cut(self) -> None:
        self.transport.abort()

    def linger(self) -> None:
        """Closes our side and reads on for a while: closing with bytes unread would reset the connection."""
        self._state = State.LINGERING
        self._lingered = 0
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.tunnel = None
        self._await(Wait.LINGER, LINGER_SECONDS)
        self.regulate()


_ANSWERING: Final = frozenset((State.OPEN, State.LAST))
