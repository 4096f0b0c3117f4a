"""One request and its answer, between a client's connection and an upstream's.

Decided at once where that is possible: then everything from the last byte of the head to the write towards the
upstream happens in one call, without a task, a timer or an await. What has to wait does so in `_settle` and `_connect`.
"""

import asyncio
from typing import Final

from gateway.edge import answers
from gateway.edge.answering import Answering
from gateway.edge.endpoint import Endpoint
from gateway.edge.generation import Adapter
from gateway.edge.pool import Upstream
from gateway.edge.quota import Limits, Ticket, body_too_large
from gateway.edge.upstream import UpstreamConnection
from gateway.errors import DependencyFailed, RequestRejected
from gateway.pipeline import Admitted, Crossing, Permit, Refused, Unverified, prepare, prepare_builtin, sender_fields
from gateway.routes.model import Route
from gateway.wire.cors import VARY_PREFLIGHT, CrossOrigin
from gateway.wire.message import Request
from gateway.wire.original import read_original

IN_HAND: Final = 64 * 1024  # bytes of a body that may wait for the upstream's connection
_REPEATABLE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"))  # RFC 9110 section 9.2.2


class Exchange(Answering):
    """Made with the request's head; over when the answer has gone out, or cannot. Here is the request's side."""

    __slots__ = ()

    def start(self, now: float) -> None:
        """now: seconds since the epoch."""
        generation, client = self.generation, self.client
        if generation.pipeline.shares and self.request.method == b"OPTIONS":
            answer = generation.pipeline.preflight(self.request)
            if answer is not None:
                self._preflighted(answer)
                return
        route = generation.pipeline.route(self.request, client.memo)
        self.routed_at = client.monotonic()
        if isinstance(route, Refused):
            self._refused(route)
            return
        self.route = route
        lane = self.lane = generation.lanes[route]
        if route.cross_origin is not None and self._shut_out(route.cross_origin):
            self._refused(Refused(RequestRejected("origin_refused"), route))
            return
        if lane.quota is not None and not self._enters(lane.quota, route, self.request, True):
            return
        outcome = generation.pipeline.judge(route, self.request, client.memo, now)
        if isinstance(outcome, Admitted):
            self._admitted(outcome)
        elif isinstance(outcome, Refused):
            self._refused(outcome)
        else:
            self.waited = True
            self.client.wait_nothing()  # the turns, the store and the issuers' keys have bounds of their own
            self._task = self.client.loop.create_task(self._settle(outcome))

    def _preflighted(self, answer: Crossing | Refused) -> None:
        """A browser asks whether a page may send a request: no upstream and no login hears of it."""
        assert answer.route is not None
        self.route = answer.route
        self.lane = self.generation.lanes[answer.route]
        self.routed_at = self.client.monotonic()
        self.lines += VARY_PREFLIGHT
        quota = self.lane.quota
        if quota is not None:
            ticket = quota.ask(self.request, self.peer.address, self.client.monotonic())
            if not self._lets_in(ticket, answer.route):
                return
        if isinstance(answer, Refused):
            self._refused(answer)
            return
        self.status = 204
        keep = self.request.keep_alive and self.received and not self.client.edge.draining
        lines = self.lines + answer.lines
        self.client.transport.write(answers.permitted(lines, self.request, self.request_id, keep))
        self._end(keep)

    def _shut_out(self, cross_origin: CrossOrigin) -> bool:
        """Whatever the answer will be, and whosever: the page that asked may read it, or may not."""
        if cross_origin.cors is not None:
            self.lines += cross_origin.cors.lines(self.request)
        return cross_origin.shuts_out(self.request)

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
            self.fail(body_too_large(limit))
        elif self._connection is not None:
            self._connection.transport.writelines(self._body())
            self._await_next()

    @property
    def clogged(self) -> bool:
        """Whether the client has to wait before it may send more of the body."""
        if self._connection is None:
            return self.held > IN_HAND
        return self._connection.clogged

    @property
    def unread(self) -> bool:
        """Whether more of the answer may have come, and waits for its turn to be read."""
        return self._connection is not None and self._connection.waiting

    async def _settle(self, unverified: Unverified) -> None:
        try:
            await self._begins()
            outcome = await self.generation.pipeline.settle(unverified, self.client.edge.clock.now())
            self._task = None
            if isinstance(outcome, Admitted) and (ended := self._ended(outcome.permit)) is not None:
                outcome = Refused(ended, outcome.permit.route)
            self.client.edge.settled(self.client.monotonic() - self.routed_at)
            adapter = self.lane.adapter
            if adapter is not None:
                self._judged(adapter, outcome)
            elif isinstance(outcome, Admitted):
                self._admitted(outcome)
            else:
                self._refused(outcome)
        except (Exception, asyncio.CancelledError) as error:
            self._failed(error)
        self.client.regulate()

    async def _begins(self) -> None:
        """Until its turn; who has gone meanwhile has none. Raises DependencyFailed."""
        await self.client.edge.turns.take()
        if self.client.is_lost:
            self.on_client_gone()
            self.client.cut()
            raise asyncio.CancelledError

    def _failed(self, error: BaseException) -> None:
        """Whatever it was, the request does not go on, and its client does not wait for ever."""
        self._task = None
        if self.over:
            return  # which is why it was cancelled
        if isinstance(error, DependencyFailed):
            self.fail(error)
        else:
            self.client.edge.report(error)
            self.fail(DependencyFailed("internal_error"))

    def _admitted(self, admitted: Admitted) -> None:
        permit, lane = admitted.permit, self.lane
        self.permit = permit
        self.admitted_at = self.client.monotonic()
        if self.ticket is not None and not self._keeps_to(self.ticket, permit):
            return
        limit = permit.route.body_limit
        if limit is not None and (self.request.length or self.bytes_in) > limit:
            self.fail(body_too_large(limit))
            return
        upstream = lane.upstream
        if upstream is None:
            self._asked(lane.adapter)
            return
        if upstream.plain:
            endpoint = upstream.next(self.client.monotonic)
            connection = endpoint.take()
        else:
            try:
                endpoint = upstream.next_for(self, self.client.monotonic)
                connection = upstream.take(endpoint)
            except DependencyFailed as busy:
                self.fail(busy)
                return
        if connection is None:
            self.client.wait_nothing()  # connecting has a bound of its own, and so have the turns
            self._task = self.client.loop.create_task(self._connect(upstream, endpoint, admitted))
        else:
            self._send(connection, admitted)

    def _enters(self, quota: Limits, route: Route, asking: Request, seated: bool) -> bool:
        """Before anything is asked about the caller: else it is refused. asking, seated: as `Limits.enter` has it."""
        ticket = self.ticket = quota.enter(asking, self.peer.address, self.client.monotonic(), seated)
        return self._lets_in(ticket, route)

    def _keeps_to(self, ticket: Ticket, permit: Permit) -> bool:
        """Now that the caller is known: else it is refused."""
        ticket.admit(permit, self.client.monotonic())
        return self._lets_in(ticket, permit.route)

    def _lets_in(self, ticket: Ticket, route: Route) -> bool:
        """What has come up is told, whatever becomes of the request."""
        self.lines += ticket.take_lines()
        if ticket.fault is not None:
            self._refused(Refused(ticket.fault, route))
        return ticket.fault is None

    def _asked(self, adapter: Adapter | None) -> None:
        """A data plane asks: the request that it holds goes through the same stages, and nothing is forwarded.

        Anybody else learns nothing, not even that this is where one asks.
        """
        self.permit, client = None, self.client
        if adapter is None or not adapter.peers.believes(client.address):
            self.lane = self.generation.unmatched
            self._refused(Refused(RequestRejected("no_route")))
            return
        self.peer = adapter.hops.resolve(client.address, self.request.forwarding)
        asking = self.request
        try:
            self.request = read_original(asking, adapter.contract, adapter.prefix)
        except RequestRejected as fault:
            self._refused(Refused(fault))
            return
        now, pipeline = client.edge.clock.now(), self.generation.pipeline
        route = pipeline.route(self.request, client.asked)
        if isinstance(route, Refused):
            self._refused(route)
            return
        quota = self.generation.lanes[route].quota
        if quota is not None and not self._enters(quota, route, asking, False):
            return
        outcome = pipeline.judge(route, self.request, client.asked, now)
        if isinstance(outcome, Unverified):
            self.lane = adapter.lane(outcome.route, self.generation.lanes[outcome.route])
            self.waited = True
            client.wait_nothing()
            self._task = client.loop.create_task(self._settle(outcome))
        else:
            self._judged(adapter, outcome)

    def _judged(self, adapter: Adapter, outcome: Admitted | Refused) -> None:
        if isinstance(outcome, Refused):
            self._refused(outcome)
            return
        route, injected = outcome.permit.route, outcome.injected
        if injected is None:  # our own endpoints: no upstream has them
            self._refused(Refused(RequestRejected("no_route")))
            return
        if self.ticket is not None and not self._keeps_to(self.ticket, outcome.permit):
            return
        self.permit = outcome.permit
        self.lane = adapter.lane(route, self.generation.lanes[route])
        self.status = 200
        request = self.request
        keep = request.keep_alive and self.received and not request.websocket and not self.client.edge.draining
        self.client.transport.write(answers.granted(injected, request, self.request_id, self.trace.fields(), keep))
        self._end(keep)

    async def _connect(
        self, upstream: Upstream, endpoint: Endpoint, admitted: Admitted, again: bytes | None = None, sent: int = 0
    ) -> None:
        """again: the framed body, where the whole request goes out once more; that takes a fresh connection.

        sent: how often it went out before.
        """
        try:
            if upstream.own:
                await self._begins()
            seconds = admitted.permit.route.timeouts.connect
            connection = await upstream.connect(endpoint, seconds, fresh=again is not None)
            self._task = None
            ended = self._ended(admitted.permit)
            if self.over or ended is not None:
                connection.release(False, 0.0)
            else:
                self._send(connection, admitted, again, sent)
            if ended is not None:
                self.fail(ended)
        except (Exception, asyncio.CancelledError) as error:
            self._failed(error)
        self.client.regulate()

    def _ended(self, permit: Permit) -> RequestRejected | None:
        """Why nothing may be sent for this caller any more: time enough has passed to revoke the credential in."""
        if self.dead is not None:
            return RequestRejected(self.dead)
        return RequestRejected("expired_credential") if permit.until <= self.client.edge.clock.now() else None

    def _send(
        self, connection: UpstreamConnection, admitted: Admitted, body: bytes | None = None, sent: int = 0
    ) -> None:
        request = self.request
        self._connection = connection
        self.home = connection.home
        connection.hold(self, request.method == b"HEAD")
        trace = self.trace.fields()
        injected = admitted.injected
        if injected is None:
            sender = sender_fields(request, self.peer, self.generation.scheme)
            data = prepare_builtin(request, sender, self.generation.connection_string, self.request_id, trace)
        else:
            forwarded = self.client.forwarded(self)
            aim = connection.home.aim
            data = prepare(request, admitted.permit, injected.head, aim, forwarded, self.request_id, trace)
        if body is None:
            if self._pieces or request.chunked:
                body = b"".join(self._body())
            else:
                body, self._sent = b"", self.received
        connection.transport.write(data + body if body else data)
        self.sent_at = self.client.monotonic()
        if not self.received:
            self._continue()
            self._await_next()
            return
        if (connection.used or self._kept) and request.method in _REPEATABLE:
            self._again = (admitted, body, sent)
        self.client.wait_answer(admitted.permit.route.timeouts.first_byte, self.sent_at)

    def _continue(self) -> None:
        """100 Continue, once: the request is authorized and an upstream connection stands."""
        if self.request.expects_continue and not self._continued and not self.bytes_in:
            self.client.transport.write(answers.CONTINUE)
        self._continued = True

    def _body(self) -> list[bytes]:
        """What has come of the body, framed for the upstream, with the last chunk if the request is complete."""
        pieces, self._pieces = self._pieces, []
        held, self.held = self.held, 0
        self._sent = self.received
        if self.request.chunked:
            if held:
                pieces = [b"%x\r\n" % held, *pieces, b"\r\n"]
            if self.received:
                pieces.append(b"0\r\n\r\n")
        return pieces

    def _await_next(self) -> None:
        client = self.client
        if self.status:
            client.wait_idle(self._idle)
        elif self.received:
            assert self.permit is not None
            client.wait_answer(self.permit.route.timeouts.first_byte, client.monotonic())
        else:
            client.wait_body()

    @property
    def _kept(self) -> bool:
        """Whether it is kept for another attempt also where nothing hints at one."""
        upstream = self.lane.upstream
        return upstream is not None and upstream.retries.unused

    def _once_more(self, connection: UpstreamConnection, reason: str) -> bool:
        """It goes out again on a fresh connection, if it may; where its caller may not any more, it has failed.

        Whether it is dealt with.
        """
        upstream = self.lane.upstream
        if self._again is None or upstream is None:
            return False
        admitted, body, sent = self._again
        self._again = None
        if sent >= upstream.retries.attempts:
            return False
        ended = self._ended(admitted.permit)
        if ended is not None:
            self.fail(ended)
            return True
        if not upstream.ledger.spend(reason, upstream.retries):
            return False
        self._release(False)
        self.client.wait_nothing()
        endpoint = upstream.besides(connection.home)
        self._task = self.client.loop.create_task(self._connect(upstream, endpoint, admitted, body, sent + 1))
        return True
