"""Upstreams and their endpoints: idle connections to take at once, new ones to wait for."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from gateway.edge.balance import Balance, Choose, least, rest, round_robin
from gateway.edge.connector import Connector, connect_fault
from gateway.edge.upstream import Home, UpstreamConnection
from gateway.errors import DependencyFailed
from gateway.ops.metrics import UpstreamCounters
from gateway.pipeline import Aim

IDLE_SECONDS: Final = 60.0  # that an unused connection is kept


class Watch(Protocol):
    """Is told of each endpoint that stops working, and that works again; not of each failure."""

    def endpoint_dead(self, endpoint: str, why: str) -> None: ...
    def endpoint_back(self, endpoint: str) -> None: ...


class Endpoint:
    """One address of an upstream, with its idle connections: the last used is taken first, so that a surplus ages.

    keep: idle connections at most. outstanding, retry_at: what balancing goes by. failures: rests in a row, 0 again
    with the first byte of an answer on a new connection.
    """

    __slots__ = ("_connector", "_keep", "_watch", "aim", "failures", "idle", "name", "open", "outstanding", "retry_at")

    def __init__(self, name: str, aim: Aim, keep: int, connector: Connector, watch: Watch) -> None:
        self.name = name
        self.aim = aim
        self._keep = keep
        self._connector = connector
        self._watch = watch
        self.idle: list[UpstreamConnection] = []
        self.open = 0
        self.outstanding = 0
        self.failures = 0
        self.retry_at = 0.0

    def take(self) -> UpstreamConnection | None:
        """An idle connection, or None. It counts as outstanding until it is given back or lost."""
        while self.idle:
            connection = self.idle.pop()
            if not connection.transport.is_closing():
                self.outstanding += 1
                return connection
        return None

    async def connect(self, seconds: float) -> UpstreamConnection:
        """A new connection, outstanding like a taken one.

        Raises DependencyFailed; then the endpoint rests a while, unless the fault is ours (`overloaded`).
        """
        self.outstanding += 1
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connector(self)
            if connection.transport.is_closing():  # its end came with the handshake, before anybody held it
                raise DependencyFailed("upstream_closed", "The upstream closed the connection.")
        except OSError as error:
            self.outstanding -= 1
            fault = connect_fault(error)
            if fault.code != "overloaded":
                self.failed(fault.detail)
            raise fault from error
        except BaseException as error:
            self.outstanding -= 1
            if isinstance(error, DependencyFailed):
                self.failed(error.detail)
            raise
        self.open += 1
        connection.counted = True
        return connection

    def failed(self, why: str) -> None:
        """No connection, or one that was closed before it answered anything. What fails during a rest adds nothing."""
        now = asyncio.get_running_loop().time()
        if now < self.retry_at:
            return
        self.failures += 1
        self.retry_at = now + rest(self.failures)
        if self.failures == 1:
            self._watch.endpoint_dead(self.name, why)

    def answered(self) -> None:
        """A new connection has brought the first byte of an answer."""
        if self.failures:
            self.failures, self.retry_at = 0, 0.0
            self._watch.endpoint_back(self.name)

    def give_back(self, connection: UpstreamConnection, reusable: bool, now: float) -> None:
        """An exchange is over. now: monotonic seconds."""
        self.outstanding -= 1
        if reusable and len(self.idle) < self._keep:
            connection.idle_since = now
            self.idle.append(connection)
        else:
            connection.discard()

    def lost(self, connection: UpstreamConnection) -> None:
        """The connection is closed, whoever did it."""
        if not connection.counted:
            return
        self.open -= 1
        if connection in self.idle:
            self.idle.remove(connection)

    def retire(self) -> None:
        """No connection is kept any more."""
        self._keep = 0
        self.close_idle(float("inf"))

    def close_idle(self, before: float) -> None:
        """Closes what has been idle since before then; all with infinity."""
        for connection in [connection for connection in self.idle if connection.idle_since < before]:
            self.idle.remove(connection)
            connection.transport.close()


class Upstream:
    """A named set of endpoints. retries: requests sent again on a fresh connection. counters: outlive a reload."""

    __slots__ = ("_choose", "_only", "counters", "endpoints", "name", "retries")

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        balance: Balance = "least",
        counters: UpstreamCounters | None = None,
    ) -> None:
        if not endpoints:
            raise ValueError("an upstream needs an endpoint")
        self.name = name
        self.endpoints = endpoints
        self._only = endpoints[0] if len(endpoints) == 1 else None
        self._choose: Choose[Endpoint] = round_robin() if balance == "round_robin" else least()
        self.retries = 0
        self.counters = counters if counters is not None else UpstreamCounters(name)

    def next(self, monotonic: Callable[[], float]) -> Endpoint:
        """Whose turn it is. Each call counts as one."""
        return self._only or self._choose(self.endpoints, monotonic())

    def besides(self, home: Home) -> Endpoint:
        """For a request whose connection to `home` was lost: another endpoint, if one is well."""
        now = asyncio.get_running_loop().time()
        return self._least(now, [e for e in self.endpoints if e is not home]) or self.next(lambda: now)

    async def connect(self, endpoint: Endpoint, seconds: float, fresh: bool = False) -> UpstreamConnection:
        """To this endpoint, or to others, each once, where that fails. Raises the last DependencyFailed.

        seconds: for all of it; while others are left, one may take half of what is left. fresh: not an idle one.
        Nothing has been sent when a connect fails, so any request may go to another endpoint (RFC 9110 section 9.2.2).
        """
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
                another = self._least(loop.time(), untried)
                if another is None or fault.code == "overloaded" or loop.time() >= end:
                    raise
            untried.remove(another)
            endpoint = another

    @staticmethod
    def _least(now: float, endpoints: Sequence[Endpoint]) -> Endpoint | None:
        """The well one with the least to do, without a turn being counted."""
        well = [endpoint for endpoint in endpoints if endpoint.retry_at <= now]
        return min(well, key=lambda endpoint: endpoint.outstanding, default=None)

    def live(self, now: float) -> int:
        """Endpoints that do not rest after a failure. now: monotonic seconds."""
        return sum(1 for endpoint in self.endpoints if endpoint.retry_at <= now)

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
        before = now - IDLE_SECONDS
        for endpoint in self.endpoints:
            if endpoint.idle and endpoint.idle[0].idle_since < before:
                endpoint.close_idle(before)

    def retire(self) -> None:
        """Of a former generation: nothing new will come; what is under way ends by itself."""
        for endpoint in self.endpoints:
            endpoint.retire()
