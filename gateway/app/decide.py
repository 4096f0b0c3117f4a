"""The decision endpoint's paths and lanes: where nginx, Traefik, Caddy, Envoy and HAProxy ask. How is in `edge`."""

from collections.abc import Iterator, Sequence

from gateway.edge.generation import Adapter, Lane
from gateway.ops.metrics import UNMATCHED, Metrics
from gateway.routes.model import Access, AccessKind, Route
from gateway.settings import model
from gateway.settings.decide import Decide
from gateway.settings.faults import Fault
from gateway.settings.load import Loaded
from gateway.settings.route import KNOWN_METHODS
from gateway.wire.original import CONTRACTS, Contract
from gateway.wire.peer import TrustedProxies

DECIDE = "decide"  # in the place of an upstream's name; there is none


class Asking:
    """routes: for every path below the mount. Nothing there goes on to the configured routes, whatever the method."""

    def __init__(self, settings: model.Settings, routes: Sequence[Route]) -> None:
        """routes: the configured ones."""
        self._decide = settings.decide
        self._proxies = settings.listen.trusted_proxies
        self._spellings = frozenset[bytes]().union(*(route.allow_encoded for route in routes))
        self._contracts: dict[Route, Contract] = {}
        self.routes: list[Route] = []
        if settings.decide is not None:
            self._contracts = {self._route(settings.decide, contract): contract for contract in CONTRACTS}
            rest = Route(f"{settings.decide.mount}/**", _METHODS, DECIDE, _ANYBODY, builtin=True)
            self.routes = [*self._contracts, rest]

    def _route(self, decide: Decide, contract: Contract) -> Route:
        """Envoy puts the path that it asks about behind the endpoint's: it may be spelt as any route allows it."""
        path = f"{decide.mount}/{contract.name}"
        if contract.target is not None:
            return Route(path, _METHODS, DECIDE, _ANYBODY, builtin=True)
        return Route(f"{path}/**", _METHODS, DECIDE, _ANYBODY, allow_encoded=self._spellings, builtin=True)

    @property
    def secret(self) -> list[bytes]:
        """A question to no contract of ours may have a path with a secret in it."""
        return [] if self._decide is None else [f"{self._decide.mount}/".encode()]

    @property
    def below(self) -> list[str]:
        """What stands before the path that is asked about."""
        return [
            route.path.removesuffix("/**") for route, contract in self._contracts.items() if contract.target is None
        ]

    def lanes(self, metrics: Metrics) -> dict[Route, Lane]:
        if self._decide is None:
            return {}
        peers = TrustedProxies(str(network) for network in self._decide.peers)
        hops = TrustedProxies(str(network) for network in (*self._decide.peers, *self._proxies))
        nobody = Lane(UNMATCHED, None, metrics.route(UNMATCHED))
        lanes = dict.fromkeys(self.routes, nobody)
        for route, contract in self._contracts.items():
            prefix = len(f"{self._decide.mount}/{contract.name}")
            lanes[route] = Adapter(contract, prefix, peers, hops, metrics).unmatched
        return lanes


_METHODS = frozenset(KNOWN_METHODS)
_ANYBODY = Access(AccessKind.PUBLIC)  # to the edge: who may ask is seen by its address


def mount_faults(loaded: Loaded, endpoints: Sequence[tuple[str, str]]) -> Iterator[Fault]:
    """Routes, and endpoints of ours, that would never be reached: everything below the mount is taken."""
    decide = loaded.settings.decide
    if decide is None:
        return
    yield from _peer_faults(loaded, decide)
    mount = loaded.place(("decide", "mount"))
    for place, route in enumerate(loaded.settings.routes):
        if _below(route.path, decide.mount):
            yield loaded.place(("routes", place, "path")).fault(
                "route_reserved", f"everything below {decide.mount} belongs to decide, at {mount}"
            )
    for method, path in endpoints:
        if _below(path, decide.mount):
            yield mount.fault("endpoint_overlap", f"{method} {path} is an endpoint of the gateway's logins")
            return


def _peer_faults(loaded: Loaded, decide: Decide) -> Iterator[Fault]:
    """Who passes clients on and may ask: its clients may ask as well, and read their own profile and assertion."""
    for place, peer in enumerate(decide.peers):
        for at, proxy in enumerate(loaded.settings.listen.trusted_proxies):
            if peer.version == proxy.version and peer.overlaps(proxy):
                theirs = loaded.place(("listen", "trusted_proxies", at))
                yield loaded.place(("decide", "peers", place)).fault(
                    "peer_overlap",
                    f"{peer} overlaps {proxy}, a proxy that passes clients on, at {theirs}: so could they ask."
                    " Peers are believed about whom they ask for without being listed there",
                )


def _below(path: str, mount: str) -> bool:
    return f"{path}/".startswith(f"{mount}/")
