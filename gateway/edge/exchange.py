"""One request and its answer, between a client's connection and an upstream's.

Decided at once where that is possible: then everything from the last byte of the head to the write towards the
upstream happens in one call, without a task, a timer or an await. What has to wait does so in `_settle` and `_connect`.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from gateway.edge import answers
from gateway.edge.generation import Generation, Lane
from gateway.edge.pool import Upstream
from gateway.edge.tunnel import Tunnel
from gateway.edge.upstream import UpstreamConnection
from gateway.errors import DependencyFailed, GatewayError, RequestRejected
from gateway.pipeline import (
    Admitted,
    Framing,
    Permit,
    Refused,
    Unverified,
    finish,
    informational,
    prepare,
    prepare_builtin,
    sender_fields,
    switching,
)
from gateway.wire.message import Request
from gateway.wire.peer import Peer
from gateway.wire.problems import PROBLEMS
from gateway.wire.reader import BadAnswer

if TYPE_CHECKING:
    from gateway.edge.client import Client

IN_HAND: Final = 64 * 1024  # bytes of a body that may wait for the upstream's connection
_REPEATABLE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))  # RFC 9110 section 9.2.2


class Exchange:
    """Made with the request's head; over when the answer has gone out, or cannot.

    received: the request is complete. status: of the answer, 0 while none has begun. began: monotonic seconds.
    """

    __slots__ = (
        "_again",
        "_begun",
        "_connection",
        "_expected",
        "_framing",
        "_keep",
        "_out",
        "_pieces",
        "_sent",
        "_task",
        "began",
        "bytes_in",
        "bytes_out",
        "client",
        "generation",
        "held",
        "lane",
        "over",
        "peer",
        "permit",
        "reason",
        "received",
        "request",
        "request_id",
        "status",
    )

    def __init__(
        self, client: "Client", request: Request, generation: Generation, peer: Peer, request_id: bytes
    ) -> None:
        self.client = client
        self.request = request
        self.generation = generation
        self.peer = peer
        self.request_id = request_id
        self.began = client.loop.time()
        self.lane: Lane = generation.unmatched
        self.permit: Permit | None = None
        self.received = False
        self.over = False
        self.status = 0
        self.reason: str | None = None
        self.bytes_in = self.bytes_out = 0
        self.held = 0
        self._pieces: list[bytes] = []
        self._out: list[bytes] = []
        self._framing = Framing.NONE
        self._keep = False
        self._expected = request.expects_continue
        self._again: bytes | None = None  # the whole request as it was sent, while it may be sent once more
        self._task: asyncio.Task[None] | None = None
        self._connection: UpstreamConnection | None = None
        self._sent = False  # the whole request has gone out
        self._begun = False  # a byte of the answer has gone out

    # the request's side

    def start(self, now: float) -> None:
        """now: seconds since the epoch."""
        outcome = self.generation.pipeline.decide(self.request, now)
        if isinstance(outcome, Admitted):
            self._admitted(outcome)
        elif isinstance(outcome, Refused):
            self._refused(outcome)
        else:
            self.lane = self.generation.lanes[outcome.route]
            self._task = self.client.loop.create_task(self._settle(outcome, now))

    def take(self, data: bytes) -> None:
        """A part of the body has come."""
        self._pieces.append(data)
        self.held += len(data)
        self.bytes_in += len(data)

    def on_body(self) -> None:
        """Parts of the body have come, or its end."""
        if self._sent or self.over:
            return
        limit = self.permit.route.body_limit if self.permit else None
        if limit is not None and self.bytes_in > limit:
            self.fail(RequestRejected("body_too_large", f"This route takes bodies of up to {limit} bytes."))
        elif self._connection is not None:
            self._connection.transport.write(self._body())
            self._await_next()

    @property
    def clogged(self) -> bool:
        """Whether the client has to wait before it may send more of the body."""
        if self._connection is None:
            return self.held > IN_HAND
        return self._connection.clogged

    @property
    def endless(self) -> bool:
        """Whether an answer is under way whose head did not say how long it is (an event stream, say)."""
        return self._begun and self._framing in (Framing.CHUNKED, Framing.UNTIL_CLOSE)

    async def _settle(self, unverified: Unverified, now: float) -> None:
        try:
            outcome = await self.generation.pipeline.settle(unverified, now)
        except Exception as error:  # whatever it was: the request does not go on
            self.client.edge.report(error)
            outcome = Refused(DependencyFailed("internal_error"), unverified.route)
        self._task = None
        if isinstance(outcome, Admitted):
            self._admitted(outcome)
        else:
            self._refused(outcome)
        self.client.regulate()

    def _admitted(self, admitted: Admitted) -> None:
        permit = self.permit = admitted.permit
        lane = self.lane = self.generation.lanes[permit.route]
        limit = permit.route.body_limit
        if limit is not None and (self.request.length or self.bytes_in) > limit:
            self.fail(RequestRejected("body_too_large", f"This route takes bodies of up to {limit} bytes."))
            return
        upstream = lane.upstream
        assert upstream is not None
        endpoint = upstream.choose(self.client.loop.time())
        connection = endpoint.take()
        if connection is None:
            self._task = self.client.loop.create_task(self._connect(upstream, admitted))
        else:
            self._send(connection, admitted)

    async def _connect(self, upstream: Upstream, admitted: Admitted) -> None:
        try:
            connection = await upstream.connect(admitted.permit.route.timeouts.connect)
        except DependencyFailed as fault:
            self._task = None
            self.fail(fault)
            return
        self._task = None
        if self.over:
            connection.release(False, 0.0)
            return
        self._send(connection, admitted)
        self.client.regulate()

    def _send(self, connection: UpstreamConnection, admitted: Admitted) -> None:
        request = self.request
        self._connection = connection
        connection.hold(self, request.method == b"HEAD")
        data = self._head(connection, admitted)
        if self._pieces or request.chunked:
            data += self._body()
        else:
            self._sent = self.received
        connection.transport.write(data)
        if self.received:
            if connection.used and request.method in _REPEATABLE:
                self._again = data
        elif self._expected:
            self._expected = False
            if not self.bytes_in:
                self.client.transport.write(answers.CONTINUE)
        self._await_next()

    def _head(self, connection: UpstreamConnection, admitted: Admitted) -> bytes:
        client, request = self.client, self.request
        if admitted.injected is None:
            sender = sender_fields(self.peer, request.host, self.generation.scheme)
            return prepare_builtin(request, sender, self.generation.connection_string, self.request_id)
        return prepare(
            request,
            admitted.permit,
            admitted.injected.head,
            connection.home.aim,
            client.forwarded(self),
            self.request_id,
        )

    def _body(self) -> bytes:
        """What has come of the body, framed for the upstream, with the last chunk if the request is complete."""
        pieces, self._pieces, self.held = self._pieces, [], 0
        self._sent = self.received
        data = b"".join(pieces)
        if not self.request.chunked:
            return data
        framed = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return framed + b"0\r\n\r\n" if self.received else framed

    def _await_next(self) -> None:
        client = self.client
        if self.status:
            client.wait_idle(self._idle)
        elif self.received:
            assert self.permit is not None
            client.wait_answer(self.permit.route.timeouts.first_byte)
        else:
            client.wait_body()

    @property
    def _idle(self) -> float:
        assert self.permit is not None
        return self.permit.route.timeouts.idle

    # the answer's side: called by the connection that is held

    def on_head(self) -> None:
        connection = self._connection
        assert connection is not None
        status = connection.status
        if status < 200:
            self._on_informational(connection, status)
            return
        self._again = None
        self.status = status
        keep = self.request.keep_alive and self.received and not self.client.edge.draining
        keep = keep and not self.request.websocket  # frames may be on their way already
        head, self._framing, self._keep = finish(connection, self.request, keep, self.request_id)
        self._out.append(head)

    def on_read(self) -> None:
        connection = self._connection
        assert connection is not None
        if not self.status:
            self.client.wait_answer(self._idle)
            return
        if connection.pieces:
            self._frame(connection)
        if connection.done:
            self._complete(connection)
            return
        self._flush()
        self.client.wait_idle(self._idle)

    def on_switched(self, early: bytes) -> None:
        """The upstream has answered 101; early: its first bytes after that."""
        client, connection = self.client, self._connection
        assert connection is not None
        client.transport.write(switching(connection, self.request_id))
        tunnel = Tunnel(client, connection, self)
        client.tunnel = connection.pipe = tunnel
        connection.holder = None
        client.wait_nothing()
        client.edge.tunnels.add(tunnel)
        if early:
            tunnel.from_upstream(early)
        tunnel.begin()

    def on_bad_answer(self, what: str) -> None:
        self.fail(DependencyFailed("upstream_bad_answer", f"The upstream's answer was refused: {what}."))

    def on_upstream_lost(self, clean: bool) -> None:
        connection = self._connection
        assert connection is not None
        if self.status and connection.until_close and clean:
            connection.done = True
            self._complete(connection)
        elif self._again is not None and not connection.started:
            self._once_more(connection)
        else:
            self.fail(DependencyFailed("upstream_closed", "The upstream closed the connection."))

    def on_upstream_writable(self, writable: bool) -> None:
        self.client.regulate()

    def on_client_writable(self, writable: bool) -> None:
        """While the client does not take the answer, no more of it is read."""
        connection = self._connection
        if connection is not None and not connection.transport.is_closing():
            (connection.transport.resume_reading if writable else connection.transport.pause_reading)()
        if self.status and not self.over:
            self.client.wait_idle(self._idle)

    def _on_informational(self, connection: UpstreamConnection, status: int) -> None:
        if status == 101:
            if not self.request.websocket or connection.upgrade != b"websocket":
                raise BadAnswer("it switches to a protocol that was not asked for")
            self.status = status
        elif status != 100 and self.request.minor:  # 100 is the gateway's own to send
            self.client.transport.write(informational(connection))

    def _frame(self, connection: UpstreamConnection) -> None:
        pieces, connection.pieces = connection.pieces, []
        out = self._out
        if self._framing is Framing.CHUNKED:
            size = sum(map(len, pieces))
            out.append(b"%x\r\n" % size)
            out += pieces
            out.append(b"\r\n")
            self.bytes_out += size
        elif self._framing is not Framing.NONE:
            out += pieces
            self.bytes_out += sum(map(len, pieces))

    def _flush(self) -> None:
        if self._out:
            out, self._out = self._out, []
            self._begun = True
            self.client.transport.write(b"".join(out))

    def _complete(self, connection: UpstreamConnection) -> None:
        if self._framing is Framing.CHUNKED:
            self._out.append(b"0\r\n\r\n")
        self._flush()
        self._release(self.received and not self.request.websocket)
        self._end(self._keep and self.received)

    # its end

    def fail(self, fault: GatewayError) -> None:
        """It cannot go on: a refusal where no answer has begun, a cut connection where one has."""
        if self.over:
            return
        self._cancel()
        self._release(False)
        self.reason = fault.code  # also where an answer is cut off
        self._out.clear()
        if self._begun:
            self.client.cut()
            self._end(False)
            return
        self._refused(Refused(fault, self.permit.route if self.permit else None))

    def on_client_gone(self) -> None:
        """The client's connection is closed: nobody is left to answer."""
        if self.over:
            return
        self._cancel()
        self._release(False)
        self.reason = self.reason or "client_gone"
        self._end(False)

    def end_tunnel(self, reason: str | None) -> None:
        """The tunnel that this exchange became is closed."""
        if not self.over:
            self.reason = reason
            self._release(False)
            self._end(False)

    def _refused(self, refused: Refused) -> None:
        fault = refused.fault
        if refused.route is not None:
            self.lane = self.generation.lanes[refused.route]
        self.reason = fault.code
        self.status = status = PROBLEMS[fault.code].status
        keep = self.request.keep_alive and self.received and status not in answers.CLOSING
        keep = keep and not self.client.edge.draining
        answer = answers.refusal(fault, self.lane, self.request.method, self.request_id, keep, refused.allow)
        self.client.transport.write(answer)
        self._end(keep)

    def _once_more(self, connection: UpstreamConnection) -> None:
        """An idle connection turned out to be closed: the request goes out again on a fresh one (once)."""
        again, self._again = self._again, None
        assert again is not None
        assert self.lane.upstream is not None
        self._release(False)
        self.lane.upstream.retries += 1
        self._task = self.client.loop.create_task(self._resend(connection, again))

    async def _resend(self, lost: UpstreamConnection, data: bytes) -> None:
        assert self.permit is not None
        try:
            connection = await lost.home.connect(self.permit.route.timeouts.connect)
        except DependencyFailed as fault:
            self._task = None
            self.fail(fault)
            return
        self._task = None
        if self.over:
            connection.release(False, 0.0)
            return
        self._connection = connection
        connection.hold(self, self.request.method == b"HEAD")
        connection.transport.write(data)
        self._await_next()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _release(self, reusable: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release(reusable, self.client.loop.time())

    def _end(self, keep_alive: bool) -> None:
        self.over = True
        self.client.edge.observe(self)
        self.client.on_exchange_over(self, keep_alive)
