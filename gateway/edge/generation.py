"""What one load of the configuration means to the edge. A reload makes a new one; an exchange keeps its own."""

from dataclasses import dataclass, field

from gateway.edge.pool import Upstream
from gateway.ops.metrics import RouteCounters
from gateway.pipeline import Pipeline
from gateway.routes.model import Route
from gateway.wire.hops import RequestNames
from gateway.wire.peer import TrustedProxies
from gateway.wire.reader import Limits


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds that the listener waits for a client: for a head, between parts of a body, for the next request."""

    head: float = 10.0
    body_idle: float = 30.0
    keep_alive: float = 75.0


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """Where one route's requests go, and where they are counted. upstream: None for what no route took.

    errors: the form of refusals, `problem` or a dialect's.
    """

    label: str
    upstream: Upstream | None
    counters: RouteCounters
    errors: str = "problem"


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """connection_string: lower-case name of the header. scheme: b"http" or b"https", of the listener.

    secret: lower-case beginnings of paths that go on with a secret, whatever takes the request.
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
    secret: tuple[bytes, ...] = ()
