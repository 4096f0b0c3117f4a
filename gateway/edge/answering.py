"""The answer's side of an exchange, and its end: what the upstream's connection calls, and what goes to the client."""

import asyncio
from typing import TYPE_CHECKING, Final

from gateway.edge import answers
from gateway.edge.crowd import Crowd
from gateway.edge.generation import Generation, Lane
from gateway.edge.outlier import is_bad
from gateway.edge.quota import Ticket
from gateway.edge.tunnel import GOING_AWAY, POLICY_VIOLATION, Tunnel
from gateway.edge.upstream import Home, UpstreamConnection
from gateway.errors import UPSTREAM_FAULTS, DependencyFailed, GatewayError, RequestRejected
from gateway.pipeline import Admitted, Framing, Permit, Refused, finish, informational, switching
from gateway.routes.model import Route
from gateway.wire.message import Request
from gateway.wire.peer import Peer
from gateway.wire.reader import BadAnswer
from gateway.wire.rules import Rules
from gateway.wire.trace import Trace

if TYPE_CHECKING:
    from gateway.edge.client import Client

_EXPIRED: Final = "expired_credential"
_ENDLESS = frozenset((Framing.CHUNKED, Framing.UNTIL_CLOSE))  # their head did not say how long they are
_NONE, _COUNTED, _CHUNKED = Framing.NONE, Framing.COUNTED, Framing.CHUNKED  # found faster than through the Enum


class Answering:
    """An exchange as the upstream's connection and the client's see it. `exchange.Exchange` is the whole.

    trace: the one that it belongs to. waited: whether the caller's credential had to be verified first.
    received: the request is complete. status: of the answer, 0 while none has begun. route: that the request asks for.
    home: the endpoint that took the request, last if it was sent twice.
    lines: whole field lines that the gateway adds to the answer, whosever it is. ticket: what it holds of the route's
    limits, None where the route has none. crowd: that it is counted in, None where its upstream has no limits.

    Monotonic seconds, 0.0 where it did not get so far. began: the head was read. routed_at: its route was found.
    admitted_at: the caller may. sent_at: the head has gone to the upstream. answered_at: that of its answer has come.
    ended_at: it is over.
    """

    __slots__ = (
        "_again",
        "_begun",
        "_connection",
        "_continued",
        "_framing",
        "_keep",
        "_pieces",
        "_sent",
        "_task",
        "admitted_at",
        "answered_at",
        "began",
        "bytes_in",
        "bytes_out",
        "client",
        "crowd",
        "dead",
        "ended_at",
        "generation",
        "held",
        "home",
        "lane",
        "lines",
        "over",
        "peer",
        "permit",
        "reason",
        "received",
        "refused",
        "request",
        "request_id",
        "route",
        "routed_at",
        "sent_at",
        "status",
        "ticket",
        "trace",
        "waited",
    )

    def __init__(
        self,
        client: "Client",
        request: Request,
        generation: Generation,
        peer: Peer,
        request_id: bytes,
        trace: Trace,
        began: float,
    ) -> None:
        self.client = client
        self.request = request
        self.generation = generation
        self.peer = peer
        self.request_id = request_id
        self.trace = trace
        self.began = began
        self.routed_at = self.admitted_at = self.sent_at = self.answered_at = self.ended_at = 0.0
        self.lane: Lane = generation.unmatched
        self.route: Route | None = None
        self.home: Home | None = None
        self.lines = generation.lines
        self.ticket: Ticket | None = None
        self.crowd: Crowd | None = None
        self.permit: Permit | None = None
        self.refused: Refused | None = None
        self.reason: str | None = None
        self.dead: str | None = None  # the reason code, once the permit has been withdrawn
        self.received = self.over = self.waited = False
        self.status = self.bytes_in = self.bytes_out = self.held = 0
        self._pieces: list[bytes] = []
        self._framing = _NONE
        self._again: tuple[Admitted, bytes, int] | None = None  # to send it once more: its framed body, times sent
        self._task: asyncio.Task[None] | None = None
        self._connection: UpstreamConnection | None = None
        # _sent: the whole request. _continued: 100 Continue was sent, or is not wanted. _begun: a byte of the answer.
        self._keep = self._sent = self._continued = self._begun = False

    @property
    def _idle(self) -> float:
        assert self.permit is not None
        return self.permit.route.timeouts.idle

    @property
    def _answer_rules(self) -> Rules | None:
        assert self.permit is not None
        return self.permit.route.answer_rules

    def wait_idle(self) -> None:
        """The client takes the answer, slowly."""
        self.client.wait_idle(self._idle)

    # the answer's side: called by the connection that is held

    def on_read(self) -> None:
        """The upstream has sent something: its head, parts of the body, the end, or all of it."""
        connection = self._connection
        assert connection is not None
        if self.status:
            out: list[bytes] = []
        elif connection.ready:
            if connection.status >= 502 and self._again is not None and self._passed_over(connection):
                return
            head = self._head_of_answer(connection)
            if self._framing is _COUNTED and connection.done and len(connection.pieces) == 1:
                self._answer_whole(connection, head)
                return
            if self.dead is not None and not connection.done and (self.dead != _EXPIRED or self._framing in _ENDLESS):
                self.fail(RequestRejected(self.dead))
                return
            out = [head]
        else:
            return  # the deadline of the first byte is that of the whole head
        if connection.pieces:
            self._frame(connection, out)
        if not connection.done:
            self._write(out)
            self.client.wait_idle(self._idle)
        else:
            self._complete(connection, out)

    def _answer_whole(self, connection: UpstreamConnection, head: bytes) -> None:
        """It came in one read, as most do: what `_frame` and `_complete` do, in half of the time."""
        body = connection.pieces.pop()
        self.bytes_out = len(body)
        self._begun = True
        self.client.transport.write(head + body)
        self._done(connection)

    def _head_of_answer(self, connection: UpstreamConnection) -> bytes:
        self._again = None
        self.status = connection.status
        self.answered_at = self.client.monotonic()
        if connection.status >= 500 and connection.home.outlier is not None and is_bad(connection.status):
            connection.home.outlier.answered(connection.home, connection.status)
        request = self.request
        # an answer before the end of the request ends the connection; after an upgrade frames may be on their way
        keep = request.keep_alive and self.received and not request.websocket and not self.client.edge.draining
        rules = self._answer_rules
        head, self._framing, self._keep = finish(connection, request, keep, self.request_id, self.lines, rules)
        return head

    def on_switched(self, early: bytes) -> None:
        """The upstream has answered 101; early: its first bytes after that."""
        client, connection = self.client, self._connection
        assert connection is not None
        if client.half_closed or client.transport.is_closing():
            self.on_client_gone()  # what would end the tunnel has happened already
            return
        self.status = connection.status
        self.answered_at = client.monotonic()
        if connection.home.outlier is not None:
            connection.home.outlier.answered(connection.home, connection.status)
        self._begun = True
        client.transport.write(switching(connection, self.request_id, self.lines, self._answer_rules))
        tunnel = Tunnel(client, connection, self)
        client.tunnel = connection.pipe = tunnel
        connection.holder = None
        client.wait_nothing()
        client.edge.tunnels.add(tunnel)
        if early:
            tunnel.from_upstream(early)
        tunnel.begin()
        if self.dead is not None:
            tunnel.close(POLICY_VIOLATION, self.dead)
        elif client.edge.draining:
            tunnel.close(GOING_AWAY, "draining")

    def on_bad_answer(self, what: str) -> None:
        self.fail(DependencyFailed("upstream_bad_answer", f"The upstream's answer was refused: {what}."))

    def on_upstream_lost(self, clean: bool) -> None:
        connection = self._connection
        assert connection is not None
        if self.status and connection.until_close and clean:
            connection.done = True
            connection.keep_alive = False  # it is gone: kept, it would be counted as idle, and closed to make room
            self._complete(connection, [])
        elif self._again is None or connection.started or not self._repeated(connection):
            self.fail(DependencyFailed("upstream_closed", "The upstream closed the connection."))

    def on_upstream_writable(self, writable: bool) -> None:
        self.client.regulate()

    def on_client_writable(self, writable: bool) -> None:
        """While the client does not take the answer, no more of it is read."""
        connection = self._connection
        if connection is not None:
            connection.pause(not writable)
            if self.status:
                self.client.wait_idle(self._idle)

    def on_informational(self) -> None:
        """A 1xx has come: it is relayed, or switches protocols."""
        connection = self._connection
        assert connection is not None
        if connection.status == 101:
            if not self.request.websocket or connection.upgrade != b"websocket":
                raise BadAnswer("it switches to a protocol that was not asked for")
        elif connection.status != 100 and self.request.minor:  # 100 is the gateway's own to send
            self.client.transport.write(informational(connection, self._answer_rules))

    def _frame(self, connection: UpstreamConnection, out: list[bytes]) -> None:
        pieces, connection.pieces = connection.pieces, []
        if self._framing is _NONE:
            return
        size = len(pieces[0]) if len(pieces) == 1 else sum(map(len, pieces))
        self.bytes_out += size
        if self._framing is _CHUNKED:
            out += (b"%x\r\n" % size, *pieces, b"\r\n")
        else:
            out += pieces

    def _write(self, out: list[bytes]) -> None:
        if out:
            self._begun = True
            self.client.transport.writelines(out)

    def _complete(self, connection: UpstreamConnection, out: list[bytes]) -> None:
        if self._framing is _CHUNKED:
            out.append(b"0\r\n\r\n")
        self._write(out)
        self._done(connection)

    def _done(self, connection: UpstreamConnection) -> None:
        outlier = connection.home.outlier
        if outlier is not None and not is_bad(self.status):  # not before its end: it might have broken off
            outlier.answered(connection.home, self.status)
        self._connection = None
        self.ended_at = now = self.client.monotonic()
        received = self.received
        reusable = received and not self.request.websocket
        if reusable and self.bytes_in and connection.transport.get_write_buffer_size():
            connection.flush()  # it has answered before it had the whole body, and may read on or close
        connection.release(reusable, now)
        self._end(self._keep and received)

    def _repeated(self, connection: UpstreamConnection) -> bool:
        """The connection was closed before any answer: whether the request goes out once more."""
        upstream = self.lane.upstream
        reason = None if upstream is None else upstream.retries.closed(connection.used)
        if reason is None or not self._once_more(connection, reason):
            return False
        if reason != "idle" and connection.home.outlier is not None:  # that an idle one is closed is no fault of it
            connection.home.outlier.failed(connection.home)
        return True

    def _passed_over(self, connection: UpstreamConnection) -> bool:
        """The answer is none for the client, as its status says: whether the request goes out once more."""
        upstream, status = self.lane.upstream, connection.status
        if upstream is None or status not in upstream.retries.statuses:
            return False
        home = connection.home
        if not self._once_more(connection, str(status)):
            return False
        if home.outlier is not None:
            home.outlier.answered(home, status)
        return True

    def _once_more(self, connection: UpstreamConnection, reason: str) -> bool:
        return False  # the request's side has what is to be sent

    # its end

    def fail(self, fault: GatewayError) -> None:
        """It cannot go on: a refusal where no answer has begun, a cut connection where one has."""
        if self.over:
            return
        self._cancel()
        self._blame(fault)
        self._release(False)
        self.reason = fault.code  # also where an answer is cut off
        if self._begun:
            self.client.cut()
            self._end(False)
            return
        self._refused(Refused(fault, self.permit.route if self.permit else None))

    def _blame(self, fault: GatewayError) -> None:
        """Where the endpoint that had the request is at fault, it counts against it."""
        connection = self._connection
        if connection is not None and fault.code in UPSTREAM_FAULTS:
            outlier = connection.home.outlier
            if outlier is not None:
                outlier.failed(connection.home)

    def withdraw(self, reason: str) -> None:
        """The permit does not hold any more: what is under way ends, but for a whole request, whose answer may come in
        one read. What only expires may go on if it has said how long it is."""
        if self.dead is None or reason != _EXPIRED:
            self.dead = reason
        ends = self._begun or not self.received
        if self.dead == _EXPIRED:
            ends = (self._begun and self._framing in _ENDLESS) or (self.request.chunked and not self.received)
        if ends or (self._connection is None and self._task is not None):
            self.fail(RequestRejected(self.dead))

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
            if self._connection is not None:
                self._connection.flush()
            self._release(False)
            self._end(False)

    def _refused(self, refused: Refused) -> None:
        self.refused, fault = refused, refused.fault
        fault.__traceback__ = None  # its frames know this exchange: it would wait for the garbage collector
        adapter = self.lane.adapter
        if refused.route is not None:
            lane = self.generation.lanes[refused.route]
            self.lane = lane if adapter is None else adapter.lane(refused.route, lane)
        self.reason = fault.code
        self.status = status = answers.status_of(fault, self.lane)
        # what a data plane asks about may be unreadable; what it asked in was not
        keep = self.request.keep_alive and self.received and (adapter is not None or status not in answers.CLOSING)
        keep = keep and not self.client.edge.draining and not self.request.websocket  # after which nothing is parsed
        answer = answers.refusal(fault, self.lane, self.request, self.request_id, keep, refused.allow, self.lines)
        self.client.transport.write(answer)
        self._end(keep)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _release(self, reusable: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release(reusable, self.client.monotonic())

    def _end(self, keep_alive: bool) -> None:
        self.over = True
        if self.ticket is not None:
            self.ticket.release()
        if self.crowd is not None:
            self.crowd.end()
            self.crowd = None
        client = self.client
        if not self.ended_at:
            self.ended_at = client.monotonic()
        try:
            client.edge.observe(self)
        except Exception as error:  # what is told of it has no say in what becomes of the connection
            client.edge.report(error)
        client.on_exchange_over(self, keep_alive)
