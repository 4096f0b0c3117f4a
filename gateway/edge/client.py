"""One client's connection: one exchange at a time, with its deadlines, until one of the sides closes."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, cast

import httptools

from gateway.edge import answers
from gateway.edge.answering import Answering
from gateway.edge.generation import Generation
from gateway.edge.intake import SLICE, TOO_LARGE, Intake, State
from gateway.edge.sockets import LARGE, READ, acknowledged, is_reset
from gateway.edge.tunnel import Tunnel
from gateway.edge.wait import Wait
from gateway.errors import DependencyFailed, RequestRejected
from gateway.pipeline import Memo
from gateway.wire.peer import Peer, forwarded_fields

if TYPE_CHECKING:
    from gateway.edge.listener import Edge

LINGER_SECONDS: Final = 1.0  # that are read on after the last answer, so that no reset destroys it on its way
LINGER_BYTES: Final = 64 * 1024
HELD_SECONDS: Final = 1.0  # until a deadline is looked at again that was over before what had come was looked at
CLOSING_SECONDS: Final = 30.0  # that a client has to take the rest of what was written
_NEVER: Final = float("inf")


class Client(Intake):
    """An asyncio.Protocol by its methods alone, as `UpstreamConnection` is.

    deadline: monotonic seconds. half_closed: the client sends no more. tunnel: what the connection has become, once an
    upgrade was granted. shelf: where the roster has it.
    """

    __slots__ = (
        "_full",
        "_lingered",
        "_seen",
        "_stuffed",
        "_taken",
        "_turning",
        "_wait",
        "asked",
        "deadline",
        "half_closed",
        "loop",
        "memo",
        "shelf",
        "transport",
        "tunnel",
    )

    transport: asyncio.Transport

    def __init__(self, edge: "Edge") -> None:
        super().__init__(edge)
        self.loop = edge.loop
        self.shelf = 0
        self.tunnel: Tunnel | None = None
        self.memo = Memo()
        self.asked = Memo()  # of what was asked about: the connection is a data plane's, and its clients take turns
        self.deadline = _NEVER
        self._wait = Wait.NOTHING
        self._lingered = 0
        self._full = False  # its last read was large, and its turn to be read on is to come
        self._turning = self.half_closed = False
        self._stuffed = False  # what was written is not taken
        self._taken: tuple[bytes, int] | None = None  # of what, and how many bytes, when a deadline was over
        self._seen: tuple[Peer | None, bytes, bytes] = (None, b"", b"")

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are not registered as such
        self.parser = httptools.HttpRequestParser(self)
        name = transport.get_extra_info("peername")
        self.address = name[0] if isinstance(name, tuple) else ""
        self.edge.clients.add(self)
        self._await_request(self.monotonic())

    def data_received(self, data: bytes) -> None:
        if len(data) >= LARGE and not self._full and self._waits(data):
            return
        if self._state is _OPEN:
            if self._backlog:
                self._backlog.append(data)  # reading is paused; this was on its way
            else:
                self.feed(data)
        elif self.tunnel is not None:
            self.tunnel.from_client(data)
        elif self._state is State.LINGERING:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES:
                self.edge.lingers_unread(self)
            self.regulate()
        elif self.active is not None and self.active.request.websocket:
            self.early += data
            self.regulate()

    def _waits(self, data: bytes) -> bool:
        """After a full read nothing more is read in this turn. What begins with as much as this is a head without end,
        mostly: true, and it has its turn with the reads, where few are waiting: they hold it meanwhile."""
        begins = self._state is _OPEN and self.active is None and not self.edge.reads.clients.crowded
        if begins or len(data) >= READ:
            self._full = True
            if self._reading:
                self.transport.pause_reading()
            self.edge.reads.clients.add(self._read_again, self.loop)
        if begins:
            self._backlog.append(data)
        return begins

    def _read_again(self) -> bool:
        held = self._backlog and self.active is None and not self._queue and not self._stuffed
        if held and not self.transport.is_closing():
            self.turn()
            if self.edge.draining and not self.edge.patient:
                self.drain()
            self.edge.reads.clients.add(self._read_again, self.loop)  # to read on is as much again
            return True
        self.regulate()
        self._full = False
        if not self._reading or self.transport.is_closing():
            return False
        self.transport.resume_reading()
        return True

    def eof_received(self) -> bool:
        if self.tunnel is not None or self._state is State.LINGERING or self._incoming is not None:
            return False
        active = self.active
        if active is None and not self._backlog:
            return False
        self.half_closed = True  # the requests that came are still answered
        if active is not None and active.request.websocket:  # but a tunnel takes both sides
            active.on_client_gone()
            return False
        return self.transport.can_write_eof()  # with TLS there is no half-close

    def connection_lost(self, exc: Exception | None) -> None:
        self._state, self.deadline = State.CLOSED, _NEVER
        self.edge.left(self)
        self.forget()
        tunnel, self.tunnel = self.tunnel, None
        if tunnel is not None:
            tunnel.client_lost()
        elif self.active is not None:
            self.active.on_client_gone()

    def pause_writing(self) -> None:
        self._writable(False)

    def resume_writing(self) -> None:
        self._writable(True)

    def _writable(self, writable: bool) -> None:
        if self.tunnel is not None:
            self.tunnel.client_writable(writable)
            return
        self._stuffed = not writable
        if self.active is not None:
            self.active.on_client_writable(writable)
        else:
            self.turn()
            self.regulate()

    # one exchange after the other

    def turn(self) -> None:
        """Starts what waits, until something is under way or nothing is left. A loop, as many may end at once.

        A client that does not take its answers gets no more of them: they are longer than what it sends.
        """
        if self._turning:
            return
        self._turning = True
        first = True
        while self.active is None and not self._stuffed and (self._state is _OPEN or self._state is _LAST):
            if self._queue:
                if not first and not self.edge.burst.take():
                    self.loop.call_soon(self.turn)
                    break
                first = False
                exchange = self.active = self._queue.popleft()
                try:
                    exchange.start(self.edge.clock.now())
                except Exception as error:  # whatever it was: the request does not go on
                    self.edge.report(error)
                    exchange.fail(DependencyFailed("internal_error"))
            elif self._backlog:
                self._read_on()
            else:
                break
        self._turning = False
        if self._queue:
            return
        if self._backlog:
            if self.active is not None:
                self._read_on()  # the rest of its body may be in there, and nothing else would hand it over
        elif self.active is None:
            self._nothing_waits()

    def _read_on(self) -> None:
        data = b"".join(self._backlog)
        self._backlog.clear()
        self.feed(data)

    def _nothing_waits(self) -> None:
        if self._state not in _ANSWERING:
            return
        if self._fault is not None:
            fault, self._fault = self._fault, None
            self._refuse(fault)
        elif self.half_closed:
            self.close()

    def on_exchange_over(self, exchange: Answering, keep_alive: bool) -> None:
        """keep_alive: whether the answer has left the connection usable."""
        self.active = None
        if self._state is not _OPEN and self._state is not _LAST:
            return
        if not keep_alive:
            if exchange.received and not self.early:
                self.close()
            else:
                self.linger()
            return
        self._await_request(exchange.ended_at)
        if not self._turning and (self._queue or self._backlog or self._fault or self.half_closed):
            self.turn()
        if not self._reading:
            self.regulate()

    def _refuse(self, fault: RequestRejected) -> None:
        """For what never became a request."""
        request_id = self.ids.request()
        lane = self.generation.asked.get(self._url)
        if lane is None or lane.adapter is None or not lane.adapter.peers.believes(self.address):
            lane = self.generation.unmatched
        bodiless = bool(self._url) and self.parser.get_method() == b"HEAD"
        answer = answers.refusal(fault, lane, None, request_id, False, own=self.generation.lines, bodiless=bodiless)
        self.transport.write(answer)
        try:
            self.edge.observe_unread(self, fault, request_id)
        except Exception as error:
            self.edge.report(error)
        self.linger(unread=self._full and fault.code in TOO_LARGE)

    def forwarded(self, exchange: Answering) -> bytes:
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
            wanted = self._lingered <= LINGER_BYTES
        else:
            active = self.active
            waiting = self._queue or self._backlog or len(self.early) > SLICE
            wanted = not waiting and not (self._stuffed if active is None else active.clogged)
        if wanted is not self._reading:
            self._reading = wanted
            if self._full:
                return  # its turn to be read on is to come
            (self.transport.resume_reading if wanted else self.transport.pause_reading)()

    def wait_answer(self, seconds: float, now: float) -> None:
        """now: monotonic seconds."""
        self._wait = _ANSWER
        self.deadline = now + seconds

    def wait_idle(self, seconds: float) -> None:
        self._await(Wait.IDLE, seconds)

    def wait_body(self) -> None:
        self._await(Wait.BODY, self.generation.waits.body_idle)

    def wait_nothing(self) -> None:
        self.deadline = _NEVER

    def await_head(self) -> None:
        if self._wait is not Wait.HEAD:
            self._await(Wait.HEAD, self.generation.waits.head)

    def _await_request(self, now: float) -> None:
        """now: monotonic seconds."""
        if self.edge.draining and not self.edge.patient and not self._queue:
            self.close()
            return
        if self.raw is None:
            self._wait = _REQUEST
            self.deadline = now + self.generation.waits.keep_alive
        else:
            self._await(Wait.HEAD, self.generation.waits.head)

    def _await(self, wait: Wait, seconds: float) -> None:
        self._wait = wait
        self.deadline = self.monotonic() + seconds

    def overdue(self) -> None:
        """The deadline has passed."""
        active = self.active
        if (self._full and (self._backlog or self._wait is Wait.BODY)) or (active and active.unread):
            self.deadline = self.monotonic() + HELD_SECONDS  # what it is about may have come, and waits for its turn
            return
        self.deadline = _NEVER
        match self._wait:
            case Wait.HEAD if active is None and not self._queue:
                self._state = State.LAST
                self._refuse(RequestRejected("head_timeout"))
            case Wait.BODY if active is not None and not active.clogged:
                active.fail(RequestRejected("body_timeout"))
            case Wait.IDLE if active is not None and self.transport.get_write_buffer_size():
                if self._takes(active.bytes_out, active.request_id):
                    active.wait_idle()
                else:
                    active.on_client_gone()  # it is there, but takes nothing
                    self.cut()
            case Wait.BODY | Wait.ANSWER | Wait.IDLE if active is not None:
                active.fail(DependencyFailed("upstream_timeout"))
            case Wait.CLOSING if self._takes(0, b""):
                self._await(Wait.CLOSING, CLOSING_SECONDS)
            case Wait.CLOSING:
                self.cut()
            case _:
                self.close()

    def _takes(self, written: int, what: bytes) -> bool:
        """Whether the client has taken any of it since the last time this was asked; yes, the first time. A slow one
        empties the buffers of TLS and of the kernel for long before ours moves. written: bytes of it so far."""
        known = acknowledged(self.transport.get_extra_info("socket"))
        taken = what, written - self.transport.get_write_buffer_size() if known is None else known
        before, self._taken = self._taken, taken
        return before is None or before[0] != what or taken[1] > before[1]

    @property
    def is_lost(self) -> bool:
        """Whether the client has reset the connection, though it is not read: then its loop does not tell."""
        return (self._full or not self._reading) and is_reset(self.transport.get_extra_info("socket"))

    def uses(self, generation: Generation) -> bool:
        """Whether a request that began with it is under way, or waits for its turn."""
        active = self.active
        ours = active is not None and active.generation is generation
        return ours or any(exchange.generation is generation for exchange in self._queue)

    def drain(self) -> None:
        """The gateway stops: an idle connection closes now, another with its answer."""
        idle = self.active is None and self.tunnel is None and self.raw is None and not self._backlog
        if idle and self._state is State.OPEN:
            self.close()

    def close(self) -> None:
        """What was written still goes out, if the client takes it. What was not answered yet is not any more."""
        self._state = State.CLOSED
        self.transport.close()
        self._await(Wait.CLOSING, CLOSING_SECONDS)

    def cut(self) -> None:
        self.transport.abort()

    def linger(self, unread: bool = False) -> None:
        """Closes our side and reads on for a while: closing with bytes unread would reset the connection.
        unread: it has that time and is not read, as there is no end of what it sends."""
        self._state = State.LINGERING
        self._lingered = LINGER_BYTES + 1 if unread else 0
        self._partial = self.opening = self.early = b""  # nothing is read out of it any more, and many may linger
        self.raw = None
        self.forget()
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            with contextlib.suppress(OSError):  # the client has reset the connection, and the loop has not told yet
                self.transport.write_eof()
        self.tunnel = None
        self._await(Wait.LINGER, LINGER_SECONDS)
        if unread:
            self.edge.lingers_unread(self)
        self.regulate()


_ANSWERING: Final = frozenset((State.OPEN, State.LAST))
_OPEN: Final = State.OPEN  # a global is found faster than a member of an Enum
_LAST: Final = State.LAST
_ANSWER: Final = Wait.ANSWER
_REQUEST: Final = Wait.REQUEST
