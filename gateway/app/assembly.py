"""An upstream as the operator says it, put together: its endpoints, and the rules by which they are chosen."""

import ssl
from collections.abc import Sequence
from typing import cast

from gateway.app.compile import upstream_context
from gateway.app.known import Record
from gateway.app.observer import EndpointLog
from gateway.clock import Clock
from gateway.edge import affinity, balance
from gateway.edge.connector import tcp
from gateway.edge.crowd import Crowd, Limits
from gateway.edge.endpoint import Endpoint
from gateway.edge.outlier import Outlier
from gateway.edge.pool import KeyOf, Upstream
from gateway.edge.retry import Retries
from gateway.ops.metrics import UpstreamCounters
from gateway.pipeline import Aim
from gateway.settings.upstream import ByWord, RetryRule, Server
from gateway.settings.upstream import Upstream as UpstreamSettings


class Assembly:
    """said: what it was made from. record: what was known before. context: of its TLS, or None. upstream: for the edge.

    watch: is told of its endpoints.
    """

    def __init__(
        self,
        name: str,
        said: UpstreamSettings,
        record: Record,
        watch: EndpointLog,
        clock: Clock,
        counters: UpstreamCounters | None = None,
    ) -> None:
        self.said = said
        self.record = record
        self.context = upstream_context(said)
        self.watch = watch
        ledger = record.ledger
        crowd = outlier = None
        if said.limits is not None:
            crowd = Crowd(Limits(said.limits.connections, said.limits.pending, said.limits.requests), ledger)
        if (rule := said.outlier) is not None:
            outlier = Outlier(rule.errors, rule.eject, rule.at_most, clock.monotonic, watch, ledger)
        choose = _choose(said.balance, clock)
        retries = _retries(said.retries)
        self.upstream = Upstream(
            name, self._endpoints({}), choose, _key(said), retries, ledger, crowd, outlier, counters=counters
        )

    @property
    def names(self) -> list[str]:
        """That are looked up."""
        return sorted({server.url.host for server in self.said.endpoints if server.named})

    def readdress(self) -> bool:
        """Its endpoints are at the recorded addresses from now on; whether these are others than before. What is there
        already stays as it is; of what is not there any more, idle connections close and exchanges go on."""
        before = {endpoint.name: endpoint for endpoint in self.upstream.endpoints}
        now = self._endpoints(before)
        if list(now) == list(self.upstream.endpoints):
            return False
        self.upstream.adopt(now)
        for gone in before.keys() - {endpoint.name for endpoint in now}:
            before[gone].retire()
        return True

    def server(self, endpoint: Endpoint) -> Server:
        """What it was made from."""
        return self.said.endpoints[endpoint.place]

    def tls(self, endpoint: Endpoint) -> ssl.SSLContext | None:
        return self.context if self.server(endpoint).url.scheme == "https" else None

    def _endpoints(self, there: dict[str, Endpoint]) -> Sequence[Endpoint]:
        found: dict[str, Endpoint] = {}
        for place, server in enumerate(self.said.endpoints):
            for address in self.record.addresses.get(server.url.host) or (server.url.host,):
                name = _name(server, address)
                found[name] = there.get(name) or self._endpoint(name, place, server, address)
        return tuple(found.values())

    def _endpoint(self, name: str, place: int, server: Server, address: str) -> Endpoint:
        url, said = server.url, self.said
        tls = self.context if url.scheme == "https" else None
        host = f"[{url.host}]" if ":" in url.host else url.host
        aim = Aim((host if url.port == (443 if tls else 80) else f"{host}:{url.port}").encode(), url.path)
        connector = tcp(url.host, url.port, tls, address)
        health, weight = self.record.health(name), float(server.weight)
        slow_start = said.slow_start or 0.0
        return Endpoint(
            name, aim, said.pool, connector, self.watch, health, weight, slow_start, place=place, address=address
        )


def _name(server: Server, address: str) -> str:
    """How logs call an endpoint: as it is configured, with the address where that says more."""
    return str(server) if address == server.url.host else f"{server} ({address})"


def _choose(said: balance.Balance, clock: Clock) -> balance.Choose[Endpoint]:
    """Of requests whose key does not decide."""
    if said == "round_robin":
        return balance.round_robin()
    return balance.p2c(balance.below(clock.token_bytes(4))) if said == "p2c" else balance.least()


def _key(said: UpstreamSettings) -> KeyOf | None:
    keys = []
    if said.sticky is not None:
        keys.append(affinity.key_by(said.sticky))
    if said.hash is not None:
        by = said.hash.by
        keys.append(affinity.key_by(by.word) if isinstance(by, ByWord) else affinity.key_by_header(by.header))
    return affinity.either(keys[0], keys[1]) if len(keys) == 2 else (keys[0] if keys else None)


def _retries(said: RetryRule) -> Retries:
    words = frozenset(reason for reason in said.on if isinstance(reason, str))
    statuses = frozenset(cast(int, reason) for reason in said.on if not isinstance(reason, str))
    return Retries(said.attempts, said.budget, said.floor, words, statuses)
