"""The answer's side of an exchange, and its end: what the upstream's connection calls, and what goes to the client."""

import asyncio
from typing import TYPE_CHECKING

from gateway.edge import answers
from gateway.edge.generation import Generation, Lane
from gateway.edge.tunnel import Tunnel
from gateway.edge.upstream import UpstreamConnection
from gateway.errors import DependencyFailed, GatewayError
from gateway.pipeline import Framing, Permit, Refused, finish, informational, switching
from gateway.wire.message import Request
from gateway.wire.peer import Peer
from gateway.wire.problems import PROBLEMS
from gateway.wire.reader import BadAnswer

if TYPE_CHECKING:
    from gateway.edge.client import Client


class Answering:
    """An exchange as the upstream's connection and the client's see it. `exchange.Exchange` is the whole.

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

    @property
    def endless(self) -> bool:
        """Whether an answer is under way whose head did not say how long it is (an event stream, say)."""
        return self._begun and self._framing in (Framing.CHUNKED, Framing.UNTIL_CLOSE)

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

    def _once_more(self, connection: UpstreamConnection) -> None:
        """The connection was closed before it took the request, which may be sent once more."""

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
