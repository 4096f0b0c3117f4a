"""The edge without a socket: on the loop and the transports of `transports.py`, with look-ups and connects that end
when they are told to, and how.

Everything between the bytes is the real thing: parsers, exchanges, pool, limits, cache of credentials, verifiers.
"""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from access.world import ALICE, HOUR, LICENCES, OWNERSHIPS, Store, Time
from identity.forge import NOW, signing_key

from edge.transports import Loop, Wire
from gateway.access.authenticate import Authenticator, CacheLimits, Verified
from gateway.access.authorize import Permit
from gateway.access.inject import Injected
from gateway.access.verifiers import OwnTokens, Verifiers
from gateway.clock import Clock
from gateway.edge.answering import Answering
from gateway.edge.client import Client
from gateway.edge.crowd import Crowd, Limits
from gateway.edge.endpoint import Endpoint
from gateway.edge.generation import Generation, Lane
from gateway.edge.ledger import Ledger
from gateway.edge.listener import Edge
from gateway.edge.pool import Upstream
from gateway.edge.quota import Limits as Quota
from gateway.edge.quota import Room, Seats, Stage, Subject
from gateway.edge.retry import Retries
from gateway.edge.upstream import UpstreamConnection
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.grants import secret_digest
from gateway.identity.model import Grant, Revocation, Standing
from gateway.ops.metrics import RouteCounters
from gateway.pipeline import Aim, Pipeline
from gateway.routes.model import Access, AccessKind, Route
from gateway.routes.table import Table
from gateway.wire.hops import RequestNames, ResponseNames
from gateway.wire.peer import TrustedProxies

CONNECTION_STRING = b"x-mycelium-connection-string"
PUBLIC_URL = "http://localhost:8080"
PROFILE = b"x-mycelium-profile: "


@dataclass
class Lookups(Store):
    """A store that answers when it is told to. waiting: calls, in order."""

    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    cold: bool = True

    async def _call(self, name: str, key: object = None) -> Any:
        found = self.standings.get(key)
        if self.cold and name.startswith("by_"):
            ticket = asyncio.get_running_loop().create_future()
            self.waiting.append(ticket)
            await ticket
        return found

    def answer(self, well: bool = True) -> None:
        ticket = self.waiting.pop(0)
        if not ticket.done():
            ticket.set_result(None) if well else ticket.set_exception(DependencyFailed("store_unavailable"))


class Lines:
    """Tells an upstream who the caller is, in plain text."""

    def lines(self, verified: Verified | None, permit: Permit, now: float) -> Injected:
        if verified is None:
            return Injected(b"", permit.until)
        return Injected(PROFILE + verified.principal.email.encode() + b"\r\n", min(permit.until, verified.until))


@dataclass
class Watcher:
    """over: request ids of exchanges that are over, in order. errors: what was reported."""

    over: list[Answering] = field(default_factory=list)
    unread_: int = 0
    errors: list[BaseException] = field(default_factory=list)

    def exchange(self, exchange: Answering) -> None:
        self.over.append(exchange)

    def unread(self, client: Client, fault: RequestRejected, request_id: bytes) -> None:
        self.unread_ += 1

    def settled(self, seconds: float) -> None:
        assert seconds >= 0

    def report(self, error: BaseException) -> None:
        self.errors.append(error)

    def endpoint_dead(self, endpoint: str, why: str) -> None:
        assert why

    def endpoint_back(self, endpoint: str) -> None:
        assert endpoint


@dataclass
class Dial:
    """A connect under way. connection: once it was made, until whoever asked has it."""

    endpoint: Endpoint
    made: asyncio.Future[UpstreamConnection]


class Rig:
    """A whole edge. lines: the upstreams' connections so far, in order. clients: the clients' wires.

    Routes: /public/** and /auth/** go to one endpoint without limits; /crowd/** to two, of which two connections
    may be open and two requests wait; /seat/** takes two at a time.
    """

    CONNECTIONS, PENDING, SEATS = 2, 2, 2

    def __init__(self) -> None:
        self.hand = Time()
        self.loop = Loop(self.hand)
        self.watcher = Watcher()
        self.dials: list[Dial] = []
        self.lines: list[tuple[Wire, UpstreamConnection]] = []
        self.clients: list[Wire] = []
        self.room = Room()
        self.loop.do(self._begin)

    def _begin(self) -> None:
        clock = Clock(now=lambda: self.hand.now, monotonic=lambda: self.hand.monotonic)
        self.store = Lookups(signing=[signing_key("EdDSA"), signing_key("EdDSA", "a1", purpose="assertion")])
        verifiers = Verifiers(self.store, self.store, None, OwnTokens(PUBLIC_URL, PUBLIC_URL), (), clock)  # type: ignore[arg-type]
        self.authenticator = Authenticator(verifiers, CacheLimits())
        plain = Upstream("plain", [self._endpoint("p")], retries=Retries())
        self.ledger = Ledger()
        crowd = Crowd(Limits(self.CONNECTIONS, self.PENDING, None), self.ledger)
        retries = Retries(on=frozenset(("connect", "reset")), statuses=frozenset((503,)))
        crowded = Upstream(
            "crowded", [self._endpoint("a"), self._endpoint("b")], None, None, retries, self.ledger, crowd
        )
        self.upstreams = (plain, crowded)
        methods = frozenset(("GET", "POST", "PUT"))
        routes = {
            Route("/public/**", methods, "plain", Access(AccessKind.PUBLIC)): (plain, None),
            Route("/auth/**", methods, "plain", Access(AccessKind.AUTHENTICATED)): (plain, None),
            Route("/crowd/**", methods, "crowded", Access(AccessKind.AUTHENTICATED)): (crowded, None),
            Route("/seat/**", methods, "plain", Access(AccessKind.AUTHENTICATED)): (plain, self._seats()),
        }
        pipeline = Pipeline(Table(list(routes)), Table([]), frozenset(), self.authenticator, Lines())
        lanes = {
            route: Lane(route.path, upstream, RouteCounters(route.path), quota=quota)
            for route, (upstream, quota) in routes.items()
        }
        names, trusted = RequestNames(CONNECTION_STRING), TrustedProxies(())
        unmatched = Lane("none", None, RouteCounters("none"))
        generation = Generation(pipeline, lanes, unmatched, names, trusted, CONNECTION_STRING)
        self.edge = Edge(generation, self.watcher, clock)

    def _endpoint(self, name: str) -> Endpoint:
        return Endpoint(name, Aim(name.encode()), 2, self._dial, self.watcher)

    def _seats(self) -> Quota:
        early = Stage([], [Seats(Subject(0, "route"), self.SEATS, self.room, "it is busy")], b"")
        return Quota(early, Stage([], [], b""), Stage([], [], b""), None)

    async def _dial(self, endpoint: Endpoint) -> UpstreamConnection:
        dial = Dial(endpoint, asyncio.get_running_loop().create_future())
        self.dials.append(dial)
        try:
            return await dial.made
        except asyncio.CancelledError:
            if dial in self.dials:
                self.dials.remove(dial)
            if dial.made.done() and not dial.made.cancelled() and not dial.made.exception():
                dial.made.result().transport.close()  # as asyncio does with what it has made for nobody
            raise

    # what happens outside

    def admit(self, name: str) -> None:
        """Their API key is `myc_NAME`, their address NAME@example.org."""
        account = replace(ALICE, id=f"account of {name}", owner=replace(ALICE.owner, email=f"{name}@example.org"))
        grant = Grant(f"grant of {name}", account.id, "api_key", "opaque", NOW, NOW + HOUR)
        digest = secret_digest("opaque", f"myc_{name}".encode())
        self.store.standings[digest] = Standing(account, grant, LICENCES, OWNERSHIPS)

    def revoke(self, name: str) -> None:
        """As the gateway does it when it learns of it."""
        self.store.standings.pop(secret_digest("opaque", f"myc_{name}".encode()), None)
        self.authenticator.purge([Revocation(0, "grant", f"grant of {name}")])
        gone = f"grant of {name}"
        self.loop.do(lambda: self.edge.end(lambda permit: permit.principal.grant_id == gone))

    def connect(self) -> Wire:
        """A client."""

        def made() -> Wire:
            client = Client(self.edge)
            wire = Wire(self.loop, client, f"127.0.0.{len(self.clients) + 1}")
            client.connection_made(wire)
            return wire

        wire: Wire = self.loop.do(made)
        self.clients.append(wire)
        return wire

    def dialed(self, error: Exception | None = None) -> Wire | None:
        """The first connect ends."""
        dial = self.dials.pop(0)
        if dial.made.done():
            return None
        if error is not None:
            dial.made.set_exception(error)
            return None
        connection = UpstreamConnection(dial.endpoint, ResponseNames())
        wire = Wire(self.loop, connection, "127.0.1.1")
        self.loop.do(lambda: connection.connection_made(wire))
        self.lines.append((wire, connection))
        dial.made.set_result(connection)
        return wire

    def sweep(self, seconds: float) -> None:
        """Time passes, and what is due is found."""
        self.hand.pass_(seconds)
        self.loop.do(self.edge.sweep)
        self.loop.turns(3)

    # what must hold

    @property
    def overlooked(self) -> bool:
        """Whether somebody waits for a connection though one is idle, or may be opened; once nothing moves any more."""
        endpoints = self.upstreams[1].endpoints
        busy = sum(endpoint.health.open - len(endpoint.idle) for endpoint in endpoints) + self.ledger.dialing
        return len(self.ledger.queue) > 0 and busy < self.CONNECTIONS

    def surprises(self) -> list[object]:
        return [*self.loop.surprises, *self.watcher.errors]

    def close(self) -> None:
        """Of its own: what is left is the test's to look at before."""
        self.loop.do(self.authenticator.aclose().close)
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.turns(5)
        self.loop.close()

    def leftovers(self) -> dict[str, object]:
        """After all clients have left: whatever is not as it was in the beginning."""
        health = [endpoint.health for upstream in self.upstreams for endpoint in upstream.endpoints]
        idle = [connection for u in self.upstreams for e in u.endpoints for connection in e.idle]
        ours = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
        found: dict[str, object] = {
            "clients": len(self.edge.clients),
            "outstanding": sum(one.outstanding for one in health),
            "open": sum(one.open for one in health) - sum(not wire.lost for wire, c in self.lines if c.counted),
            "under way": self.ledger.under_way,
            "waiting": self.ledger.waiting,
            "dialing": self.ledger.dialing,
            "queue": len(self.ledger.queue),
            "dials": len(self.dials),
            "seats": dict(self.room.under_way),
            "busy": sum(not wire.closing and connection not in idle for wire, connection in self.lines),
            "held": sum(connection.holder is not None for _, connection in self.lines),
            "paused": sum(not wire.reading and not wire.closing for wire, _ in self.lines),
            "tasks": len(ours),
            "timers": len(self.loop.timers),
            "surprises": self.surprises(),
        }
        return {name: value for name, value in found.items() if value}
