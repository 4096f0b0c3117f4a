"""What is told: of exchanges that are over, counters and access log; of endpoints, the application log."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.clock import Clock
from gateway.edge.answering import Answering
from gateway.edge.client import Client
from gateway.errors import UPSTREAM_FAULTS, DependencyFailed, RequestRejected
from gateway.ops.access_log import AccessLog
from gateway.ops.logs import Log
from gateway.ops.metrics import Distribution
from gateway.ops.outages import Outages
from gateway.ops.spans import Exchanged, Spans
from gateway.routes.model import Route
from gateway.wire.problems import PROBLEMS


class Observer:
    """access_log: None where it is off. A reload may put another in its place."""

    def __init__(self, clock: Clock, log: Log, access_log: AccessLog | None, cold: Distribution) -> None:
        """cold: of decisions that had to wait for a verification."""
        self._clock = clock
        self._log = log
        self._outages = Outages(log, clock.monotonic)
        self._cold = cold
        self.access_log = access_log
        self.spans: Spans | None = None  # as above, where a collector is named

    def settled(self, seconds: float) -> None:
        """A request's credential has been verified, or not: it was not remembered."""
        self._cold.observe(seconds)

    def exchange(self, exchange: Answering) -> None:
        """On the measured path."""
        lane = exchange.lane
        began, routed_at, admitted_at = exchange.began, exchange.routed_at, exchange.admitted_at
        seconds = exchange.ended_at - began
        counters, status, reason, answered_at = lane.counters, exchange.status, exchange.reason, exchange.answered_at
        first_byte = answered_at - exchange.sent_at if answered_at else -1.0
        counters.observe(status, reason, seconds)
        counters.bytes_in += exchange.bytes_in
        counters.bytes_out += exchange.bytes_out
        permit, refused, upstream, home = exchange.permit, exchange.refused, lane.upstream, exchange.home
        if upstream is not None and admitted_at:
            if answered_at:
                upstream.counters.observe(status, reason, first_byte)
            elif exchange.sent_at or reason in UPSTREAM_FAULTS:
                upstream.counters.observe(0, reason, -1.0)
        if refused is not None and isinstance(refused.fault, DependencyFailed):
            self._outages.failed(refused.fault)
        if self.spans is not None and exchange.trace.sampled:
            self._record(self.spans, exchange, seconds)
        if self.access_log is None:
            return
        route = principal = None
        if permit is not None:
            route, principal = permit.route, permit.principal
        elif refused is not None:
            route = refused.route
            principal = refused.caller.principal if refused.caller is not None else None
        else:
            route = exchange.route
        path = None if conceals(exchange, route) else exchange.request.target.path
        self.access_log.write(
            self._clock.now(),
            exchange.request_id.decode("ascii"),
            exchange.peer.address,
            exchange.request.method,
            exchange.request.host or None,
            lane.label,
            path,
            None if upstream is None else upstream.name,
            None if home is None else home.name,
            status,
            reason,
            principal.account.id if principal is not None and principal.account is not None else None,
            principal.grant_id if principal is not None else None,
            exchange.bytes_in,
            exchange.bytes_out,
            routed_at - began if routed_at else -1.0,
            admitted_at - routed_at if admitted_at else -1.0,
            first_byte,
            seconds,
            exchange.trace.trace_id.decode("ascii"),
        )

    def unread(self, client: Client, fault: RequestRejected, request_id: bytes) -> None:
        """A request that was refused before it could be read."""
        lane = client.generation.unmatched
        status = PROBLEMS[fault.code].status
        lane.counters.observe(status, fault.code, 0.0)
        if self.access_log is not None:
            self.access_log.write(
                self._clock.now(), request_id.decode("ascii"), client.address, b"", None, lane.label, None, None,
                None, status, fault.code, None, None, 0, 0, -1.0, -1.0, -1.0, 0.0,
            )  # fmt: skip

    def _record(self, spans: Spans, exchange: Answering, seconds: float) -> None:
        """seconds: since it began. Everything is told as seconds before its end."""
        route, upstream = _subject(exchange), exchange.lane.upstream
        tried = exchange.sent_at > 0.0 or exchange.reason in UPSTREAM_FAULTS
        forwarded = tried and route is not None and not route.builtin and upstream is not None
        end = exchange.began + seconds
        path = None if conceals(exchange, route) else exchange.request.target.path.decode("latin-1")
        trace, peer, home = exchange.trace, exchange.peer, exchange.home
        spans.put(
            Exchanged(
                trace_id=trace.trace_id,
                span_id=trace.span_id,
                parent_id=trace.parent_id,
                state=trace.state,
                ended=self._clock.now(),
                began=seconds,
                routed=_before(end, exchange.routed_at),
                admitted=_before(end, exchange.admitted_at),
                sent=_before(end, exchange.sent_at),
                answered=_before(end, exchange.answered_at),
                waited=exchange.waited,
                forwarded=forwarded,
                asked=exchange.lane.adapter is not None,
                request_id=exchange.request_id.decode("ascii"),
                client=peer.address,
                method=exchange.request.method.decode("latin-1"),
                scheme=(peer.scheme or exchange.generation.scheme).decode("ascii"),
                host=(peer.host or exchange.request.host).decode("latin-1"),
                path=path,
                route=route.path if route is not None else None,
                upstream=upstream.name if forwarded and upstream is not None else None,
                endpoint=home.aim.host.decode("ascii") if home is not None else None,
                status=exchange.status,
                reason=exchange.reason,
            )
        )

    def report(self, error: BaseException) -> None:
        """A fault of our own: the request was answered with 500."""
        self._log.error("internal error", exc_info=error)


def conceals(exchange: Answering, route: Route | None) -> bool:
    """Whether the exchange's path may not be told: that of an endpoint of ours may hold a token."""
    secret = exchange.generation.secret
    return (route is not None and route.builtin) or hides(secret, exchange.request.target.path)


def _subject(exchange: Answering) -> Route | None:
    """The route that it is about: of a data plane's question that of what is asked about."""
    if exchange.lane.adapter is None:
        return exchange.route
    permit, refused = exchange.permit, exchange.refused
    return permit.route if permit is not None else refused.route if refused is not None else None


def _before(end: float, at: float) -> float:
    """Seconds; negative for what did not happen."""
    return end - at if at > 0.0 else -1.0


_PERCENT: Final = re.compile(rb"%(?:25)+").sub  # encoded, and that encoded again
_PARAMETERS: Final = re.compile(rb";[^/]*").sub
_SLASHES: Final = re.compile(rb"[/\\]+").sub
_WORD: Final = re.compile(rb"[a-z0-9]").match
_LOST: Final = bytes(range(0x21)) + bytes(range(0x7F, 0x100))  # what is trimmed from a name, or put into it
_HYPHEN: Final = "\u2011".encode()  # one that does not break
_LOOKED_AT: Final = 1024  # bytes of a path that is folded: no program makes more of a beginning, and 8 KiB take 1 ms

Beginnings = tuple[tuple[bytes, ...], tuple[bytes, ...]]  # of paths: in lower case, and folded


def hides(secret: Beginnings, path: bytes) -> bool:
    """Whether the path goes on with a secret after one of these beginnings.

    Also as a program may spell a link that it was given: encoded, more than once too, with parameters, blanks or empty
    segments. The secret may stand behind any of these, so that such a path need not go on with another word.
    """
    if path.find(b"%") >= 0 or path.find(b";") >= 0:  # `in` takes twice as long: it tries numbers first
        return folded(path[:_LOOKED_AT]).startswith(secret[1])
    path = path.lower()
    return path.startswith(secret[0]) and any(_goes_on(path, way) for way in secret[0])


def folded(path: bytes) -> bytes:
    """What all spellings of a path have in common; lower case."""
    decoded = unquote_to_bytes(_PERCENT(b"%", path)).replace(_HYPHEN, b"-").translate(None, _LOST)
    return _SLASHES(b"/", _PARAMETERS(b"", decoded)).lower()


def beginnings(paths: Iterable[bytes]) -> Beginnings:
    """Of these paths, each with what stands before a secret: not the slash, as `?` or what looks like a slash may
    stand there, unless whatever is behind it is secret."""
    kept = tuple(dict.fromkeys(paths))
    return tuple(path.lower() for path in kept), tuple(folded(path) for path in kept)


def _goes_on(path: bytes, way: bytes) -> bool:
    """With what is no longer the same word, as `session` in `sessions` would be."""
    end = len(way)
    return path.startswith(way) and len(path) > end and (way.endswith(b"/") or _WORD(path, end) is None)


class EndpointLog:
    """Tells of an upstream's endpoints when they stop working, and when they work again."""

    def __init__(self, log: Log, upstream: str) -> None:
        self._log = log
        self._upstream = upstream

    def endpoint_dead(self, endpoint: str, why: str) -> None:
        self._log.warning("endpoint dead", upstream=self._upstream, endpoint=endpoint, why=why)

    def endpoint_back(self, endpoint: str) -> None:
        self._log.info("endpoint back", upstream=self._upstream, endpoint=endpoint)

    def endpoint_ejected(self, endpoint: str, why: str, seconds: float) -> None:
        self._log.warning("endpoint ejected", upstream=self._upstream, endpoint=endpoint, why=why, seconds=seconds)

    def endpoint_returned(self, endpoint: str) -> None:
        self._log.info("endpoint returned", upstream=self._upstream, endpoint=endpoint)

    def endpoint_unhealthy(self, endpoint: str, why: str) -> None:
        self._log.warning("endpoint unhealthy", upstream=self._upstream, endpoint=endpoint, why=why)

    def endpoint_healthy(self, endpoint: str) -> None:
        self._log.info("endpoint healthy", upstream=self._upstream, endpoint=endpoint)
