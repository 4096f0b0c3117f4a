"""One exchange, stage by stage: match, authenticate, authorize, inject. Start reading here.

    bytes -> wire.Request -> routes.match -> access.authenticate -> access.authorize -> access.inject
          -> proxy.prepare -> edge.upstream -> proxy.finish -> bytes

`route` and `judge` are synchronous and end at once whenever the credential was verified before. Where it was not,
`judge` answers `Unverified`, and `settle` takes the same stages on from there. Sockets are none of this module's
business.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from gateway.access.authenticate import Verified
from gateway.access.authorize import Permit, authorize
from gateway.access.inject import Injected
from gateway.errors import DependencyFailed, GatewayError, RequestRejected
from gateway.proxy.finish import Framing, finish, informational, switching
from gateway.proxy.prepare import Aim, prepare, prepare_builtin, sender_fields
from gateway.routes.model import AccessKind, Route
from gateway.routes.table import NotAllowed, Table
from gateway.wire.cors import read_preflight
from gateway.wire.credentials import Presented, present
from gateway.wire.message import Request
from gateway.wire.target import Target

__all__ = [
    "Admitted",
    "Aim",
    "Crossing",
    "Framing",
    "Injected",
    "Memo",
    "Permit",
    "Pipeline",
    "Refused",
    "Unverified",
    "finish",
    "informational",
    "prepare",
    "prepare_builtin",
    "sender_fields",
    "switching",
]  # every stage and what stages hand on: the edge calls them from here, and reaches behind none


_PUBLIC = AccessKind.PUBLIC  # found faster than through the Enum


class Gate(Protocol):
    """Authentication, as far as this module needs it. hits: look-ups that the cache has answered."""

    hits: int

    def recall(self, presented: Presented, now: float) -> Verified | RequestRejected | None: ...

    def verify(self, presented: Presented, now: float) -> Awaitable[Verified]: ...


class Lines(Protocol):
    """What tells an upstream who the caller is, as far as this module needs it."""

    def lines(self, verified: Verified | None, permit: Permit, now: float) -> Injected: ...


class Admitted:
    """The request may go on. Plain and slotted: made on the measured path, and never written to.

    injected: whole field lines for the upstream; None towards our own application. until: seconds since the epoch.
    """

    __slots__ = ("injected", "permit", "until")

    def __init__(self, permit: Permit, injected: Injected | None) -> None:
        self.permit = permit
        self.injected = injected
        self.until = permit.until if injected is None else min(permit.until, injected.until)


class Memo:
    """What the last request on a connection presented and got: the next one mostly presents the same.

    It is believed only for the very same bytes, while the cache itself still would: `Verified.until` ends with a purge.
    """

    __slots__ = (
        "admitted",
        "authorization",
        "connection_string",
        "gate",
        "host",
        "method",
        "pipeline",
        "route",
        "target",
        "verified",
    )

    def __init__(self) -> None:
        self.gate: Gate | None = None
        self.verified: Verified | None = None
        self.admitted: Admitted | None = None
        self.authorization: bytes | None = None
        self.connection_string: bytes | None = None
        self.pipeline: Pipeline | None = None
        self.route: Route | None = None
        self.target: Target | None = None
        self.method = self.host = b""

    def asked(self, request: Request, pipeline: "Pipeline") -> "Route | None":
        """The route of the last request, if this one asks for the same. Short targets are remembered, and so are one
        object each time (see `wire.target`): what is not the same object is looked up."""
        if (
            self.target is request.target
            and self.pipeline is pipeline
            and self.method == request.method
            and self.host == request.host
        ):
            return self.route
        return None

    def ask(self, request: Request, pipeline: "Pipeline", route: Route) -> Route:
        self.target, self.pipeline, self.route = request.target, pipeline, route
        self.method, self.host = request.method, request.host
        return route

    def holds(self, request: Request, gate: "Gate", now: float) -> bool:
        verified = self.verified
        return (
            verified is not None
            and verified.since <= now < verified.until
            and self.authorization == request.authorization
            and self.connection_string == request.connection_string
            and self.gate is gate
        )

    def keep(self, request: Request, gate: "Gate", verified: Verified) -> None:
        self.gate, self.verified, self.admitted = gate, verified, None
        self.authorization, self.connection_string = request.authorization, request.connection_string


@dataclass(frozen=True, slots=True)
class Refused:
    """It may not. route: None when none was found. allow: methods for a 405, else b"". caller: where that is known."""

    fault: GatewayError
    route: Route | None = None
    allow: bytes = b""
    caller: Verified | None = None


@dataclass(frozen=True, slots=True)
class Crossing:
    """A page of another origin may send what it has in mind. lines: whole field lines that tell its browser so."""

    route: Route
    lines: bytes


@dataclass(frozen=True, slots=True)
class Unverified:
    """The credential has not been seen lately: `Pipeline.settle` has to wait for it."""

    route: Route
    presented: Presented


class Pipeline:
    """The stages, bound to one generation of the configuration. An exchange keeps the one that it began with."""

    def __init__(
        self,
        routes: Table,
        builtins: Table,
        reserved: frozenset[bytes],
        gate: Gate,
        injector: Lines,
        shares: bool = False,
    ) -> None:
        """reserved: the first segments of built-in paths. shares: whether any route has a word for other origins."""
        self.shares = shares
        self._routes = routes
        self._builtins = builtins
        self._reserved = reserved
        self._open: dict[Route, Admitted] = {}
        self._gate = gate
        self._injector = injector

    def decide(self, request: Request, memo: Memo, now: float) -> Admitted | Refused | Unverified:
        """`route`, then `judge`."""
        route = self.route(request, memo)
        return route if isinstance(route, Refused) else self.judge(route, request, memo, now)

    def route(self, request: Request, memo: Memo) -> Route | Refused:
        """The one that the request asks for. memo: of the connection."""
        route = memo.asked(request, self)
        if route is not None:
            return route
        matched = self._match(request, request.method)
        return matched if isinstance(matched, Refused) else memo.ask(request, self, matched)

    def preflight(self, request: Request) -> Crossing | Refused | None:
        """The answer to a CORS preflight, which carries no credential and is the gateway's own to give.

        None for what is none, and for one about a route without `cors`: that is an OPTIONS request like any other. The
        route is that of the method which is asked about; failing that, one that lists OPTIONS itself.
        """
        asked = read_preflight(request)
        if asked is None:
            return None
        for method in (asked.method, b"OPTIONS"):
            route = self._match(request, method)
            if isinstance(route, Route) and route.cross_origin is not None and route.cross_origin.cors is not None:
                cors = route.cross_origin.cors
                if not request.target.oddities <= route.allow_encoded:
                    return None
                detail = cors.refusal(asked)
                if detail:
                    return Refused(RequestRejected("cors_refused", detail), route)
                return Crossing(route, cors.permission(asked))
        return None

    def judge(self, route: Route, request: Request, memo: Memo, now: float) -> Admitted | Refused | Unverified:
        """Whether the caller may. route: from `route`. now: seconds since the epoch.

        Never waits; never raises what a request can cause.
        """
        try:
            if request.target.oddities and not request.target.oddities <= route.allow_encoded:
                raise RequestRejected("ambiguous_path", "This route does not list that spelling in allow_encoded.")
            if route.builtin or route.access.kind is _PUBLIC:
                return self._public(route, now)
            if not memo.holds(request, self._gate, now):
                presented = present(request.connection_string, request.authorization)
                if presented is None:
                    raise RequestRejected("no_credential")
                found = self._gate.recall(presented, now)
                if found is None:
                    return Unverified(route, presented)
                if isinstance(found, RequestRejected):
                    return Refused(found, route)
                memo.keep(request, self._gate, found)
            else:
                self._gate.hits += 1
                admitted = memo.admitted
                if admitted is not None and admitted.permit.route is route and now < admitted.until:
                    return admitted
            assert memo.verified is not None
            outcome = self._admit(memo.verified, route, now)
            if isinstance(outcome, Admitted):
                memo.admitted = outcome
            return outcome
        except GatewayError as fault:
            return Refused(fault, route)

    async def settle(self, unverified: Unverified, now: float) -> Admitted | Refused:
        """Verifies the credential, then goes on as `decide` does."""
        try:
            verified = await self._gate.verify(unverified.presented, now)
            return self._admit(verified, unverified.route, now)
        except (RequestRejected, DependencyFailed) as fault:
            return Refused(fault, unverified.route)

    def _match(self, request: Request, method: bytes) -> Route | Refused:
        host, target = request.host, request.target
        own = None
        if target.segments and target.segments[0] in self._reserved:
            own = self._builtins.match(method, host, target)
            if isinstance(own, Route):
                return own
        found = self._routes.match(method, host, target)
        if isinstance(found, Route):
            return found
        if target.oddities:
            return Refused(RequestRejected("ambiguous_path"))
        refusal = found or own
        if isinstance(refusal, NotAllowed):
            return Refused(RequestRejected("method_not_allowed"), allow=refusal.allow)
        return Refused(RequestRejected("no_route"))

    def _public(self, route: Route, now: float) -> Admitted:
        """Whoever asks: public routes, and our own endpoints, which authenticate their callers themselves."""
        admitted = self._open.get(route)
        if admitted is None:
            permit = authorize(None, route, now)
            injected = None if route.builtin else self._injector.lines(None, permit, now)
            admitted = self._open[route] = Admitted(permit, injected)
        return admitted

    def _admit(self, verified: Verified, route: Route, now: float) -> Admitted | Refused:
        try:
            permit = verified.permit(route, now)
            return Admitted(permit, self._injector.lines(verified, permit, now))
        except GatewayError as fault:
            return Refused(fault, route, caller=verified)
