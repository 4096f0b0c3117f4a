"""From a client's bytes to exchanges in a queue: what a connection reads. What it does with them is in `client`."""

import re
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final, cast

import httptools

from gateway.edge.exchange import Exchange
from gateway.errors import RequestRejected
from gateway.wire.message import Request
from gateway.wire.reader import RequestReader

if TYPE_CHECKING:
    from gateway.edge.client import Client
    from gateway.edge.listener import Edge

# httptools cannot pause between messages: one 256 KiB read ran 10,082 callbacks in 72 ms
SLICE: Final = 16 * 1024
LONGEST: Final = 64 * 1024  # slice of a chunked body whose chunks are long
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z").match

_SPENT: Final = httptools.HttpRequestParser(object())  # for connections that are over: it is fed nothing
TOO_LARGE: Final = frozenset(("head_too_large", "target_too_long"))
_SPACES = re.compile(b"  +").sub


class State(Enum):
    OPEN = 0
    LAST = 1  # the last request has been read: what still comes is not one
    LINGERING = 2  # the last answer has gone out: what still comes is thrown away
    CLOSED = 3


class Intake(RequestReader):
    """It is its own reader: a callback that is passed on costs a call more per header. `Client` is the whole.

    active: the exchange under way. early: bytes after an upgrade request, for the tunnel.
    """

    __slots__ = (
        "_backlog",
        "_barren",
        "_body_left",
        "_fault",
        "_feeding",
        "_incoming",
        "_longest",
        "_partial",
        "_queue",
        "_reading",
        "_state",
        "active",
        "address",
        "early",
        "edge",
        "generation",
        "ids",
        "monotonic",
    )

    def __init__(self, edge: "Edge") -> None:
        self.generation = edge.generation
        super().__init__(self.generation.names, self.generation.limits)
        self.edge = edge
        self.monotonic = edge.monotonic  # found here, it costs a third
        self.ids = edge.ids
        self.active: Exchange | None = None
        self.early = b""
        self.address = ""
        self._state = State.OPEN
        self._queue: deque[Exchange] = deque()
        self._incoming: Exchange | None = None
        self._body_left = self._barren = self._longest = 0
        self._backlog: list[bytes] = []
        self._partial = self._feeding = b""
        self._reading = True
        self._fault: RequestRejected | None = None

    def turn(self) -> None:
        """Starts what waits."""

    def regulate(self) -> None:
        """Reads on, or not."""

    def await_head(self) -> None:
        """A head has begun and is not complete."""

    def forget(self) -> None:
        """Nothing more comes. Its parser has methods of its own: together they would wait for the garbage collector."""
        self._queue.clear()
        self._backlog.clear()
        self._incoming = None  # half of a request
        self.parser = _SPENT

    # the parser's callbacks

    def on_request(self, request: Request) -> None:
        if request.minor == 0:
            self._check_version()
        if self._partial:
            self._partial = b""  # that was this head: what is left of a slice belongs to the next
        generation = self.generation
        peer = generation.trusted.resolve(self.address, request.forwarding)
        trace = generation.traces.begin(request, peer.trusted, self.ids.trace())
        exchange = Exchange(
            cast("Client", self), request, generation, peer, self.ids.request(), trace, self.monotonic()
        )
        if request.request_id is not None and peer.trusted and _UUID(request.request_id):
            exchange.request_id = request.request_id
        self._incoming = exchange
        self._body_left = request.length or 0
        self._queue.append(exchange)

    def on_body(self, data: bytes) -> None:
        assert self._incoming is not None
        self._incoming.take(data)
        if self._incoming.request.chunked:
            self._body_left = min(4 * len(data), LONGEST)  # nobody says how much is left: more of the kind
        else:
            self._body_left -= len(data)
        self._barren = -len(self._feeding)  # which is added when it has been read

    def on_message_complete(self) -> None:
        exchange, self._incoming = self._incoming, None
        assert exchange is not None
        exchange.received = True
        self._body_left = 0
        if not exchange.request.keep_alive:
            self._state = State.LAST

    def _check_version(self) -> None:
        # llhttp takes RTSP/1.0 and ICE/1.0 for version 1.0, so the request line is looked at; where the read began with
        # something else (nobody pipelines in HTTP/1.0), it cannot be told where that line is
        line = b"%b %b HTTP/1.0\r\n" % (self.parser.get_method(), self._url)
        if not (self._partial + self._feeding).lstrip(b"\r\n").startswith(line):
            raise RequestRejected("bad_version", "A request in HTTP/1.0 is read only at the beginning of what arrives.")

    def on_unseen_line(self) -> None:
        # looked for among all that may hold it, once per read unless something of the kind is in there; llhttp takes
        # more than one space
        data = self._partial + self._feeding
        self._partial = self._feeding = b""
        if b" RTSP/1.1" in data or b" ICE/1.1" in data:
            self._feeding = data = _SPACES(b" ", data)
            if b" %b RTSP/1.1" % self._url in data or b" %b ICE/1.1" % self._url in data:
                raise RequestRejected("bad_version")

    # from bytes to exchanges

    def feed(self, data: bytes) -> None:
        """Parses, and starts what may start."""
        if self.active is not None or len(data) > SLICE:
            self._feed_slices(data)
            return
        self._parse(data)
        if self._queue:
            self.turn()
        if self._queue or self._incoming is not None or not self._reading:
            self.regulate()

    def _feed_slices(self, data: bytes) -> None:
        """Slice by slice, until more requests wait than the one under way; the rest is kept as it is."""
        at = 0
        while at < len(data) and self._state is State.OPEN:
            active = self.active
            if self._queue:
                self._backlog.append(data[at:])
                break
            size = max(SLICE, self._body_left)
            part = data if at == 0 and len(data) <= size else data[at : at + size]
            at += len(part)
            self._parse(part)
            if active is not None and active is self.active:
                active.on_body()
            if self.active is None:
                self.turn()
        if at < len(data) and (asked := self._queue[-1] if self._queue else self.active) and asked.request.websocket:
            self.early += data[at:]
        self.regulate()

    def _parse(self, data: bytes) -> None:
        generation = self.edge.generation
        if generation is not self.generation:  # before a head is complete: it is classified by what decides on it
            self.generation, self.names, self.limits = generation, generation.names, generation.limits
        self._feeding = data
        if self._partial:
            self.opening, self.bulky = b"", True
        else:
            self.opening = data if self._incoming is None else b""
            self.bulky = len(data) > self.limits.least
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as pause:
            self._upgraded(data[pause.args[0] :])
        except httptools.HttpParserError as error:
            if self._state is State.OPEN:  # else it only says that bytes follow after the last request
                self._broken(self.fault or self._unforeseen(error))
        else:
            if self.raw is not None or self._partial or self._incoming is not None:
                self._measure(data)
        self._feeding = b""

    def _measure(self, data: bytes) -> None:
        """What the parser does not limit: a head, chunk extensions or trailers without end."""
        if self.raw is not None:
            if not self._partial:  # what came before the head in this slice is no part of it
                self._longest = self.limits.head + max(SLICE, len(data))
            self._partial += data
            if len(self._partial) > self._longest:
                long = not self.raw and len(self._url) > self.limits.target
                self._broken(RequestRejected("target_too_long" if long else "head_too_large"))
            elif self.active is None and not self._queue:
                self.await_head()
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
        fault.__traceback__ = None  # its frames know this connection, as `Answering._refused` has it
        broken, self._incoming = self._incoming, None
        if broken is not None and broken is self.active:
            broken.fail(fault)
            return
        if broken is not None:
            self._queue.remove(broken)
        self._fault = fault
        self.turn()
