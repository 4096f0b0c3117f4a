"""Upstreams and their endpoints: idle connections to take at once, new ones to wait for."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.edge.balance import Balance, Choose, least, rest, round_robin
from gateway.edge.upstream import UpstreamConnection
from gateway.errors import DependencyFailed
from gateway.pipeline import Aim
from gateway.wire.hops import ResponseNames

IDLE_SECONDS: Final = 60.0  # that an unused connection is kept

Connector = Callable[["Endpoint"], Awaitable[UpstreamConnection]]


class Endpoint:
    """One address of an upstream, with its idle connections: the last used is taken first, so that a surplus ages.

    keep: idle connections at most. outstanding, failures, retry_at: what balancing goes by.
    """

    __slots__ = ("_connector", "_keep", "aim", "failures", "idle", "name", "open", "outstanding", "retry_at")

    def __init__(self, name: str, aim: Aim, keep: int, connector: Connector) -> None:
        self.name = name
        self.aim = aim
        self._keep = keep
        self._connector = connector
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
        """A new connection, outstanding like a taken one. Raises DependencyFailed; then the endpoint rests a while."""
        self.outstanding += 1
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connector(self)
        except BaseException as error:
            self.outstanding -= 1
            if isinstance(error, TimeoutError | OSError | ssl.SSLError | ssl.CertificateError):
                self._failed()
                raise DependencyFailed(*_connect_fault(error)) from error
            raise
        self.open += 1
        self.failures, self.retry_at = 0, 0.0
        if connection.transport.is_closing():  # its end came with the handshake, before anybody held it
            self.outstanding -= 1
            raise DependencyFailed("upstream_closed", "The upstream closed the connection.")
        return connection

    def give_back(self, connection: UpstreamConnection, reusable: bool, now: float) -> None:
        """An exchange is over. now: monotonic seconds."""
        self.outstanding -= 1
        if reusable and len(self.idle) < self._keep:
            connection.idle_since = now
            self.idle.append(connection)
        else:
            connection.transport.close()

    def lost(self, connection: UpstreamConnection) -> None:
        """The connection is closed, whoever did it."""
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

    def _failed(self) -> None:
        self.failures += 1
        self.retry_at = asyncio.get_running_loop().time() + rest(self.failures)


class Upstream:
    """A named set of endpoints. retries: requests sent again on a fresh connection."""

    __slots__ = ("_choose", "_only", "endpoints", "name", "retries")

    def __init__(self, name: str, endpoints: Sequence[Endpoint], balance: Balance = "least") -> None:
        if not endpoints:
            raise ValueError("an upstream needs an endpoint")
        self.name = name
        self.endpoints = endpoints
        self._only = endpoints[0] if len(endpoints) == 1 else None
        self._choose: Choose[Endpoint] = round_robin() if balance == "round_robin" else least()
        self.retries = 0

    def next(self, monotonic: Callable[[], float]) -> Endpoint:
        """Whose turn it is. Each call counts as one."""
        return self._only or self._choose(self.endpoints, monotonic())

    async def connect(self, endpoint: Endpoint, seconds: float) -> UpstreamConnection:
        """To this endpoint, or to the next ones where that fails. Raises the last DependencyFailed.

        Nothing has been sent when a connect fails, so any request may go to another endpoint (RFC 9110 section 9.2.2).
        """
        loop = asyncio.get_running_loop()
        tried: set[str] = set()
        while True:
            try:
                return endpoint.take() or await endpoint.connect(seconds)
            except DependencyFailed:
                tried.add(endpoint.name)
                if all(e.name in tried or e.retry_at > loop.time() for e in self.endpoints):
                    raise
            endpoint = self.next(loop.time)

    def live(self) -> int:
        """Endpoints that do not rest after a failed connect."""
        return sum(1 for endpoint in self.endpoints if not endpoint.failures)

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


def tcp(host: str, port: int, tls: ssl.SSLContext | None = None) -> Connector:
    """Connects to an address, with TLS if there is a context; the certificate must name `host`."""
    names = ResponseNames()

    async def connector(endpoint: Endpoint) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: UpstreamConnection(endpoint, names), host, port, ssl=tls, server_hostname=host if tls else None
        )
        return connection

    return connector


def in_process(connect: Callable[[], Awaitable[socket.socket]]) -> Connector:
    """Connects to our own application; its answers may use the reserved namespace."""
    names = ResponseNames(reserved=True)

    async def connector(endpoint: Endpoint) -> UpstreamConnection:
        end = await connect()
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: UpstreamConnection(endpoint, names), sock=end
        )
        return connection

    return connector


def _connect_fault(error: BaseException) -> tuple[str, str]:
    if isinstance(error, TimeoutError):
        return "upstream_timeout", "The connection was not made in time."
    if isinstance(error, ssl.CertificateError):
        return "upstream_unreachable", "The upstream's certificate is not valid for it."
    if isinstance(error, ssl.SSLError):
        return "upstream_unreachable", "The TLS handshake with the upstream failed."
    return "upstream_unreachable", "The connection was refused."
