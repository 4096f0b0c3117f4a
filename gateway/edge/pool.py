"""Upstreams: which endpoint a request goes to, which others where that fails, and how much at a time."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from gateway.edge.balance import Choose, hashed, least
from gateway.edge.crowd import Crowd
from gateway.edge.endpoint import Endpoint
from gateway.edge.ledger import Ledger
from gateway.edge.outlier import Outlier
from gateway.edge.retry import Retries
from gateway.edge.upstream import Home, UpstreamConnection
from gateway.errors import DependencyFailed
from gateway.ops.metrics import UpstreamCounters

if TYPE_CHECKING:
    from gateway.edge.answering import Answering

IDLE_SECONDS: Final = 60.0  # that an unused connection is kept

KeyOf = Callable[["Answering"], bytes]


class Upstream:
    """A named set of endpoints.

    plain: nothing of a request has a say in the choice, and nothing limits it. own: the gateway's built-in API, which
    is slow to begin and has the same loop. retries: when a request is sent again. ledger, counters: its counts, kept
    over a reload. changed: called where a connect failed: it may have moved.
    """

    __slots__ = (
        "_choose",
        "_key",
        "_only",
        "changed",
        "counters",
        "crowd",
        "endpoints",
        "ledger",
        "name",
        "outlier",
        "own",
        "plain",
        "retries",
    )

    endpoints: Sequence[Endpoint]

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        choose: Choose[Endpoint] | None = None,
        key: KeyOf | None = None,
        retries: Retries | None = None,
        ledger: Ledger | None = None,
        crowd: Crowd | None = None,
        outlier: Outlier | None = None,
        counters: UpstreamCounters | None = None,
        own: bool = False,
    ) -> None:
        """key: what of a request decides, b"" where it has no such thing; then `choose` does."""
        self.name = name
        self.retries = retries if retries is not None else Retries()
        self.ledger = ledger if ledger is not None else Ledger()
        self.crowd = crowd
        self.outlier = outlier
        self.own = own
        self.plain = key is None and crowd is None and not own
        self.counters = counters if counters is not None else UpstreamCounters(name)
        self.changed: Callable[[], None] | None = None
        self._choose: Choose[Endpoint] = choose if choose is not None else least()
        self._key = key
        self._only: Endpoint | None = None
        self.adopt(endpoints)

    def adopt(self, endpoints: Sequence[Endpoint]) -> None:
        """These are its endpoints from now on; what is under way on others goes on there."""
        if not endpoints:
            raise ValueError("an upstream needs an endpoint")
        self.endpoints = endpoints
        self._only = endpoints[0] if len(endpoints) == 1 else None
        for endpoint in endpoints:
            endpoint.crowd, endpoint.outlier = self.crowd, self.outlier
        if self.outlier is not None:
            self.outlier.endpoints = endpoints

    def next(self, monotonic: Callable[[], float]) -> Endpoint:
        """Whose turn it is. Each call counts as one."""
        self.ledger.requests += 1
        if self._only is not None:
            return self._only
        now = monotonic()
        return self._picked(self._choose(self.endpoints, now), now)

    def next_for(self, exchange: "Answering", monotonic: Callable[[], float]) -> Endpoint:
        """The same, where the request may decide and limits may refuse it. Raises DependencyFailed."""
        crowd = self.crowd
        if crowd is not None:
            if limit := crowd.too_many(sum(e.health.outstanding for e in self.endpoints)):
                raise crowd.refuse(limit)
            crowd.begin()
            exchange.crowd = crowd
        key = self._key(exchange) if self._key is not None and self._only is None else b""
        if not key:
            return self.next(monotonic)
        self.ledger.requests += 1
        now = monotonic()
        return self._picked(hashed(self.endpoints, key, now), now)

    def take(self, endpoint: Endpoint) -> UpstreamConnection | None:
        """An idle connection of it, but for one that others have waited for, and of what has to wait for its turn."""
        return None if self.own or (self.crowd is not None and self.crowd.waited_for) else endpoint.take()

    @staticmethod
    def _picked(endpoint: Endpoint, now: float) -> Endpoint:
        if endpoint.health.on_trial:
            endpoint.health.tried(now)
        return endpoint

    def besides(self, home: Home) -> Endpoint:
        """For a request whose connection to `home` was lost: another endpoint, if one is well."""
        now = asyncio.get_running_loop().time()
        found = self._least(now, [e for e in self.endpoints if e is not home])
        return self._picked(found or self._only or self._choose(self.endpoints, now), now)

    async def connect(self, endpoint: Endpoint, seconds: float, fresh: bool = False) -> UpstreamConnection:
        """To this endpoint, or to others, each once, where that fails. Raises the last DependencyFailed.

        seconds: for all of it; while others are left, one may take half of what is left. A wait in the queue may take
        as long before that: an endpoint that is given the little that is left would be blamed for it. fresh: not an
        idle one.
        Nothing has been sent when a connect fails, so any request may go to another endpoint (RFC 9110 section 9.2.2).
        """
        crowd = self.crowd
        if crowd is None:
            return await self._connect(endpoint, seconds, fresh)
        if limit := crowd.too_long():
            raise crowd.refuse(limit)
        crowd.ledger.waiting += 1
        try:
            connection = await self._room(crowd, endpoint, seconds, fresh)
            if connection is not None:
                return connection
            crowd.ledger.dialing += 1
            try:
                return await self._connect(endpoint, seconds, fresh)
            finally:
                crowd.ledger.dialing -= 1
                crowd.wake()
        finally:
            crowd.ledger.waiting -= 1

    async def _room(self, crowd: Crowd, endpoint: Endpoint, seconds: float, fresh: bool) -> UpstreamConnection | None:
        """Waits until one more connection may be opened; or an idle one, which comes to the same."""
        if crowd.limits.connections is None:
            return None
        loop = asyncio.get_running_loop()
        end, place = loop.time() + seconds, crowd.enter()
        try:
            if not crowd.leads(place):
                await crowd.turn(place, seconds)
            while True:
                connection = None if fresh else endpoint.take()
                if connection is not None or self._fits(crowd):
                    return connection
                any(other.close_oldest() for other in self.endpoints)  # its end wakes the first in the queue
                await crowd.turn(place, max(end - loop.time(), 0.0))
        finally:
            crowd.leave(place)

    def _fits(self, crowd: Crowd) -> bool:
        """Whether one more connection may be opened."""
        most = crowd.limits.connections
        return most is None or sum(e.health.open for e in self.endpoints) + crowd.ledger.dialing < most

    async def _connect(self, endpoint: Endpoint, seconds: float, fresh: bool) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        untried = [e for e in self.endpoints if e is not endpoint]
        while True:
            connection = None if fresh else endpoint.take()
            if connection is not None:
                return connection
            left = end - loop.time()
            try:
                connection = await endpoint.connect(left / 2 if self._least(loop.time(), untried) else left)
                self.counters.connects += 1
                return connection
            except DependencyFailed as fault:
                self.counters.failed_connects += 1
                if self.changed is not None:
                    self.changed()
                another = self._least(loop.time(), untried)
                if another is None or fault.code == "overloaded" or loop.time() >= end:
                    raise
                if not self.retries.connect or not self.ledger.spend("connect", self.retries):
                    raise
            untried.remove(another)
            endpoint = self._picked(another, loop.time())

    @staticmethod
    def _least(now: float, endpoints: Iterable[Endpoint]) -> Endpoint | None:
        """The well one with the least to do, without a turn being counted."""
        well = [endpoint for endpoint in endpoints if endpoint.health.retry_at <= now]
        return min(well, key=lambda endpoint: endpoint.health.outstanding, default=None)

    def live(self, now: float) -> int:
        """Endpoints that take requests. now: monotonic seconds."""
        return sum(1 for endpoint in self.endpoints if endpoint.health.retry_at <= now)

    def usage(self) -> dict[str, int]:
        """Connections by state. One that is being closed is busy until it is gone."""
        unused = sum(len(endpoint.idle) for endpoint in self.endpoints)
        busy = sum(endpoint.open for endpoint in self.endpoints) - unused
        return {"busy": busy, "idle": unused, "connecting": max(self.in_flight - busy, 0)}

    @property
    def in_flight(self) -> int:
        return sum(endpoint.outstanding for endpoint in self.endpoints)

    def sweep(self, now: float) -> None:
        """Once per second: closes what was idle for too long."""
        self.ledger.tick()
        before = now - IDLE_SECONDS
        for endpoint in self.endpoints:
            if endpoint.idle and endpoint.idle[0].idle_since < before:
                endpoint.close_idle(before)

    def retire(self) -> None:
        """Of a former generation: nothing new will come; what is under way ends by itself."""
        for endpoint in self.endpoints:
            endpoint.retire()
