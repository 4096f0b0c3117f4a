"""One connection to an upstream: bytes to a response, for the exchange that holds the connection at the time."""

import asyncio
from typing import Final, Protocol, cast

import httptools

from gateway.edge.health import Health
from gateway.edge.outlier import Outlier
from gateway.edge.read_queues import read_queues
from gateway.edge.sockets import LARGE, READ
from gateway.pipeline import Aim
from gateway.wire.hops import ResponseNames
from gateway.wire.reader import BadAnswer, ResponseReader

FLUSH_SECONDS: Final = 30.0  # that an upstream has to take what was still written to it before all was over
UNTURNED: Final = 1  # large reads of an answer before it takes turns: what is no stream does not wait behind streams
_BARREN: Final = 64 * 1024  # bytes of head, chunk extensions or trailers that may come without a byte of body
_ENDLESS: Final = 1 << 61  # bytes of a body that only the close ends; still one word of compiled code
_SPENT: Final = httptools.HttpResponseParser(object())  # for connections that are over: it is fed nothing


class Home(Protocol):
    """Where connections come from and go back to: an endpoint."""

    name: str
    aim: Aim
    health: Health
    outlier: Outlier | None

    def answered(self) -> None: ...
    def failed(self, why: str) -> None: ...
    def give_back(self, connection: "UpstreamConnection", reusable: bool, now: float) -> None: ...
    def lost(self, connection: "UpstreamConnection") -> None: ...


class Holder(Protocol):
    """The exchange, as its upstream connection sees it."""

    def on_informational(self) -> None: ...
    def on_read(self) -> None: ...
    def on_switched(self, early: bytes) -> None: ...
    def on_upstream_lost(self, clean: bool) -> None: ...
    def on_bad_answer(self, what: str) -> None: ...
    def on_upstream_writable(self, writable: bool) -> None: ...


class Pipe(Protocol):
    """A tunnel, as this side sees it."""

    def from_upstream(self, data: bytes) -> None: ...
    def upstream_lost(self) -> None: ...
    def upstream_writable(self, writable: bool) -> None: ...


class UpstreamConnection(ResponseReader):
    """An asyncio.Protocol by its methods alone: compiled, it could not inherit from one (docs/decisions/0007). It is
    its own reader: a callback that is passed on costs a call more per header.

    pieces: body bytes of the last read. ready: the response's head is there. done: the response is complete. bodiless:
    it answers HEAD. started: a byte of it has come. clogged: the write buffer is full. used: it has served an exchange
    before this one, so it may turn out to be closed. waiting: for its turn to be read on, after a large read. counted:
    among the open ones of its home; a connect that is cancelled may end with or without a loss, depending on the loop.
    """

    __slots__ = (
        "_barren",
        "_encrypted",
        "_flushing",
        "_full",
        "_large",
        "_left",
        "_paused",
        "_surplus",
        "_unsure",
        "bodiless",
        "clogged",
        "counted",
        "done",
        "holder",
        "home",
        "idle_since",
        "pieces",
        "pipe",
        "ready",
        "started",
        "transport",
        "used",
        "waiting",
    )

    transport: asyncio.Transport

    def __init__(self, home: Home, names: ResponseNames) -> None:
        super().__init__(names)
        self.home = home
        self.holder: Holder | None = None
        self.pipe: Pipe | None = None
        self.pieces: list[bytes] = []
        self.done = self.started = self.ready = self.bodiless = self.used = self.clogged = self.counted = False
        self.idle_since = 0.0
        self._barren = self._large = 0  # _large: reads of this answer that were
        self._left = 0  # bytes of the body that go by the parser
        self._surplus = self._paused = self._flushing = self._encrypted = self.waiting = False
        self._full = False  # its last read filled the buffer
        self._unsure = False  # of TLS: reading has been paused since, and what comes then may be lost

    def hold(self, holder: Holder, bodiless: bool) -> None:
        """An exchange begins. bodiless: it is a HEAD, whose answer has no body whatever its head says."""
        self.holder = holder
        self.bodiless = bodiless
        self.done = self.started = self.ready = False
        self._barren = self._left = 0

    def release(self, reusable: bool, now: float) -> None:
        """The exchange is over. reusable: as far as the exchange knows."""
        self.holder = None
        # a full read may have left bytes behind that nobody asked for, which the next one would find
        reusable = reusable and self.done and self.keep_alive
        reusable = reusable and not self._surplus and not self._full and not self._flushing
        if self.bodiless and reusable:
            self.parser = httptools.HttpResponseParser(self)  # llhttp has no HEAD: it would wait for a body
        self.used = True
        if self._paused:
            self.pause(False)  # whoever holds it next has a client of its own
        self.home.give_back(self, reusable, now)

    def pause(self, paused: bool) -> None:
        """Reads no further, or again."""
        if paused is not self._paused and not self.transport.is_closing():
            self._paused = paused
            self._unsure = self._unsure or self._encrypted
            if not self.waiting:
                (self.transport.pause_reading if paused else self.transport.resume_reading)()

    def discard(self) -> None:
        """Closes it. What is still in its buffer goes nowhere: one that takes nothing would be kept by it for ever."""
        if self._flushing:
            return
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # also where it is closing already, which waits for its buffer
        elif not self.transport.is_closing():
            self.transport.close()

    def flush(self) -> None:
        """Closes it when what was written has gone out, or its time is over."""
        if self._flushing:
            return
        self._flushing = True
        if self.transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.transport.abort)
        self.transport.close()

    @property
    def until_close(self) -> bool:
        """Whether only the end of the connection ends the body."""
        return not self.chunked and self.length is None

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are not registered as such
        self.parser = httptools.HttpResponseParser(self)
        # uvloop's TLS throws away what it holds while reading is paused, once the other side closes: it takes no turns
        self._encrypted = transport.get_extra_info("ssl_object") is not None

    def data_received(self, data: bytes) -> None:
        self._full, self._unsure = len(data) >= READ, self._encrypted and self._paused
        if self._full:
            self._wait_for_turn()
        if self.pipe is not None:
            self.pipe.from_upstream(data)
            return
        holder = self.holder
        if holder is None:
            self.transport.abort()  # bytes that nobody asked for: a desynchronised connection
            return
        if self._left:
            self._take_body(data)
        elif not self._parse(data, holder):
            return
        if len(data) >= LARGE and not self.done:  # there is more to come
            self._large += 1
            if self._large > UNTURNED:
                self._wait_for_turn()
        holder.on_read()

    def _parse(self, data: bytes, holder: Holder) -> bool:
        """Whether the holder's `on_read` is due: it is not after a switch of protocols or a bad answer."""
        if not self.started:
            self.started = True
            self._large = 0
            if not self.used:
                self.home.answered()
            self.opening = data
            self.bulky = len(data) > _BARREN
        elif self.opening and len(self.opening.lstrip(b"\r\n")) < 9:
            self.opening += data
        try:
            self.parser.feed_data(data)
            if self.raw is not None or not self.done:
                self._check(data)
        except httptools.HttpParserUpgrade as pause:
            holder.on_switched(data[pause.args[0] :])
            return False
        except (httptools.HttpParserError, BadAnswer) as error:
            self._surplus = True
            if not self.done:
                holder.on_bad_answer(_told(error))
                return False
        if self.ready and not self.done and not self.chunked:
            self._left = _ENDLESS if self.length is None else int(self.length) - sum(map(len, self.pieces))
        return True

    def _take_body(self, data: bytes) -> None:
        """What was not read with the head goes by the parser, which would copy it; chunks do not."""
        left = self._left
        if len(data) < left:
            self.pieces.append(data)
            self._left = left - len(data)
            return
        self.pieces.append(data if len(data) == left else data[:left])
        self._left = 0
        self.done = True
        if data[left:].strip(b"\r\n"):  # empty lines are nothing to the parser either
            self._surplus = True
        self.parser = httptools.HttpResponseParser(self)  # the one before still waits for the body

    def _wait_for_turn(self) -> None:
        if self.waiting or self._encrypted:
            return
        self.waiting = True
        if not self._paused:
            self.transport.pause_reading()
        loop = asyncio.get_running_loop()
        read_queues(loop).upstreams.add(self._read_on, loop)

    def _read_on(self) -> bool:
        self.waiting = False
        if self._paused or self.transport.is_closing():
            return False
        self.transport.resume_reading()
        return True

    def eof_received(self) -> bool:
        """It is closed; connection_lost says the rest. Where no answer can come any more, what is left of the request
        goes nowhere; what belongs to a tunnel or to an answer that ends so has its time."""
        if self.pipe is not None or (self.ready and self.until_close):
            self.flush()
        else:
            self.discard()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.parser = _SPENT  # else both wait for the garbage collector, as it has methods of this one
        self.home.lost(self)
        if self.pipe is not None:
            self.pipe.upstream_lost()
        elif self.holder is not None:
            if not self.used and not self.started:
                self.home.failed("It closes connections before it answers.")
            self.holder.on_upstream_lost(exc is None and not self._unsure)

    def pause_writing(self) -> None:
        self._writable(False)

    def resume_writing(self) -> None:
        self._writable(True)

    # the parser's callbacks

    def on_message_begin(self) -> None:
        if self.done:  # before it touches what the first answer said
            raise BadAnswer("a second answer came after the first")
        self.raw = []
        self.reason = b""

    def on_response(self) -> None:
        if self.holder is None:
            raise BadAnswer("nobody waits for it")
        if self.status < 200:
            # llhttp reads a body after a 1xx that says so, which would then stand before the real answer's
            if self.status < 100 or self.chunked or (self.length or b"0").strip(b"0"):
                raise BadAnswer("it is informational, and has a body")
            self.holder.on_informational()
        else:
            self.ready = True
            self.done = self.bodiless

    def on_body(self, data: bytes) -> None:
        if self.bodiless:
            self._surplus = True
        else:
            self.pieces.append(data)

    def on_message_complete(self) -> None:
        if self.status >= 200:
            self.done = True
        elif self.status == 101 and not self.parser.should_upgrade():
            raise BadAnswer("it switches protocols without Connection: upgrade")

    def _check(self, data: bytes) -> None:
        """What the parser does not limit: heads, extensions or trailers without end, and bytes after the end."""
        if self.done:
            self._surplus = self._surplus or self.raw is not None
        elif not self.pieces and (self.chunked or not self.ready):
            self._barren += len(data)
            self.bulky = True
            if self._barren > _BARREN:
                raise BadAnswer("its head or its framing has no end")
        else:
            self._barren = 0

    def _writable(self, writable: bool) -> None:
        self.clogged = not writable
        if self.pipe is not None:
            self.pipe.upstream_writable(writable)
        elif self.holder is not None:
            self.holder.on_upstream_writable(writable)


def _told(error: Exception) -> str:
    cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else error
    return str(cause) if isinstance(cause, BadAnswer) else "it is not well-formed HTTP"
