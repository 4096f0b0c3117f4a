"""What one load of the configuration means to the edge. A reload makes a new one; an exchange keeps its own."""

from dataclasses import dataclass, field

from gateway.edge.pool import Upstream
from gateway.edge.quota import Limits as Quota
from gateway.ops.metrics import ASKED, Metrics, RouteCounters
from gateway.pipeline import Pipeline
from gateway.routes.model import Route
from gateway.wire.hops import RequestNames
from gateway.wire.original import Contract
from gateway.wire.peer import TrustedProxies
from gateway.wire.reader import Limits
from gateway.wire.trace import Traces


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds that the listener waits for a client: for a head, between parts of a body, for the next request."""

    head: float = 10.0
    body_idle: float = 30.0
    keep_alive: float = 75.0


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """Where one route's requests go, and where they are counted. upstream: None for what no route took.

    errors: the form of refusals, `problem` or a dialect's. adapter: for a data plane that asks, else None. quota: how
    often, how many at once and how large; None where the route has no such limits.
    """

    label: str
    upstream: Upstream | None
    counters: RouteCounters
    errors: str = "problem"
    adapter: "Adapter | None" = None
    quota: Quota | None = None


class Adapter:
    """One kind of data plane that asks instead of having its requests forwarded, and the lanes of what it asks.

    prefix: length of the path that it asks at. few: whether it understands no other refusal than 401 and 403.
    """

    __slots__ = ("_lanes", "_metrics", "contract", "few", "hops", "peers", "prefix", "unmatched")

    def __init__(
        self, contract: Contract, prefix: int, peers: TrustedProxies, hops: TrustedProxies, metrics: Metrics
    ) -> None:
        """peers: the networks that may ask; the socket's own other end counts, never what it says of others.

        hops: whose word counts on whom they ask for: the peers, and the proxies before them.
        """
        self.contract = contract
        self.prefix = prefix
        self.peers = peers
        self.hops = hops
        self.few = contract.name == "nginx"
        self.unmatched = Lane(ASKED, None, metrics.route(ASKED), adapter=self)
        self._metrics = metrics
        self._lanes: dict[Route, Lane] = {}

    def lane(self, route: Route, lane: Lane) -> Lane:
        """Where the answers to what is asked about a route are counted. lane: of the requests that are forwarded."""
        found = self._lanes.get(route)
        if found is None:
            label = f"{ASKED} {lane.label}"
            found = self._lanes[route] = Lane(label, None, self._metrics.route(label), lane.errors, self)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """connection_string: lower-case name of the header. scheme: b"http" or b"https", of the listener.

    secret: beginnings of paths that go on with a secret, whatever takes the request, in two forms (`app.observer`).
    asked: the lanes of the data planes that ask, by the path that they ask at. lines: whole field lines of every
    answer, whosever it is.
    """

    pipeline: Pipeline
    lanes: dict[Route, Lane]
    unmatched: Lane
    names: RequestNames
    trusted: TrustedProxies
    connection_string: bytes
    scheme: bytes = b"http"
    limits: Limits = field(default_factory=Limits)
    waits: Waits = field(default_factory=Waits)
    secret: tuple[tuple[bytes, ...], tuple[bytes, ...]] = ((), ())
    asked: dict[bytes, Lane] = field(default_factory=dict)
    traces: Traces = field(default_factory=Traces)
    lines: bytes = b""
