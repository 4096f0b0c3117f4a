"""One address of an upstream, with its idle connections. Which endpoint is chosen is none of this module's business."""

import asyncio
from typing import Final, Protocol

from gateway.edge.balance import seed_of
from gateway.edge.connector import Connector, connect_fault
from gateway.edge.crowd import Crowd
from gateway.edge.health import Health
from gateway.edge.outlier import Outlier
from gateway.edge.upstream import UpstreamConnection
from gateway.errors import DependencyFailed
from gateway.pipeline import Aim

LEAST_SHARE: Final = 0.1  # of its weight, that a slow start begins with: with none it would never be chosen


class Watch(Protocol):
    """Is told of each endpoint that stops working, and that works again; not of each failure."""

    def endpoint_dead(self, endpoint: str, why: str) -> None: ...
    def endpoint_back(self, endpoint: str) -> None: ...


class Endpoint:
    """The last used idle connection is taken first, so that a surplus ages.

    keep: idle connections at most. weight: above 0. slow_start: seconds over which its share rises to that. place: of
    the configured endpoint that it is, or an address of. address: where that is; a name that was not looked up is one.
    outlier, crowd: of the upstream, where it has them.
    """

    __slots__ = (
        "_connector",
        "_keep",
        "_slow_start",
        "_watch",
        "_weight",
        "address",
        "aim",
        "credit",
        "crowd",
        "health",
        "idle",
        "name",
        "outlier",
        "place",
        "seed",
    )

    def __init__(
        self,
        name: str,
        aim: Aim,
        keep: int,
        connector: Connector,
        watch: Watch,
        health: Health | None = None,
        weight: float = 1.0,
        slow_start: float = 0.0,
        place: int = 0,
        address: str = "",
    ) -> None:
        self.name = name
        self.aim = aim
        self.health = health if health is not None else Health()
        self.place = place
        self.address = address
        self.idle: list[UpstreamConnection] = []
        self.outlier: Outlier | None = None
        self.crowd: Crowd | None = None
        self.credit = 0.0
        self.seed = seed_of(name)
        self._keep = keep
        self._connector = connector
        self._watch = watch
        self._weight = weight
        self._slow_start = slow_start

    @property
    def open(self) -> int:
        """Connections, busy and idle."""
        return self.health.open

    @property
    def outstanding(self) -> int:
        """Exchanges on it now."""
        return self.health.outstanding

    def share(self, now: float) -> float:
        """Its weight now: a part of it while it starts slowly."""
        if not self._slow_start:
            return self._weight
        age = now - self.health.since
        if age >= self._slow_start:
            return self._weight
        return self._weight * max(age / self._slow_start, LEAST_SHARE)

    def take(self) -> UpstreamConnection | None:
        """An idle connection, or None. It counts as outstanding until it is given back or lost."""
        while self.idle:
            connection = self.idle.pop()
            if not connection.transport.is_closing():
                self.health.outstanding += 1
                return connection
        return None

    async def connect(self, seconds: float) -> UpstreamConnection:
        """A new connection, outstanding like a taken one.

        Raises DependencyFailed; then the endpoint rests a while, unless the fault is ours (`overloaded`).
        """
        health = self.health
        health.outstanding += 1
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connector(self)
            if connection.transport.is_closing():  # its end came with the handshake, before anybody held it
                raise DependencyFailed("upstream_closed", "The upstream closed the connection.")
        except OSError as error:
            health.outstanding -= 1
            fault = connect_fault(error)
            if fault.code != "overloaded":
                self._unreachable(fault.detail)
            raise fault from error
        except BaseException as error:
            health.outstanding -= 1
            if isinstance(error, DependencyFailed):
                self._unreachable(error.detail)
            raise
        health.open += 1
        connection.counted = True
        return connection

    def _unreachable(self, why: str) -> None:
        self.failed(why)
        if self.outlier is not None:
            self.outlier.failed(self, why)

    def failed(self, why: str) -> None:
        """No connection, or one that was closed before it answered anything."""
        if self.health.failed(asyncio.get_running_loop().time()):
            self._watch.endpoint_dead(self.name, why)

    def answered(self) -> None:
        """A new connection has brought the first byte of an answer."""
        if self.health.failures and self.health.answered(asyncio.get_running_loop().time()):
            self._watch.endpoint_back(self.name)

    def give_back(self, connection: UpstreamConnection, reusable: bool, now: float) -> None:
        """An exchange is over. now: monotonic seconds."""
        self.health.outstanding -= 1
        if reusable and len(self.idle) < self._keep:
            connection.idle_since = now
            self.idle.append(connection)
        else:
            connection.discard()
        if self.crowd is not None:
            self.crowd.wake()

    def lost(self, connection: UpstreamConnection) -> None:
        """The connection is closed, whoever did it."""
        if not connection.counted:
            return
        self.health.open -= 1
        if connection in self.idle:
            self.idle.remove(connection)
        if self.crowd is not None:
            self.crowd.wake()

    def retire(self) -> None:
        """No connection is kept any more."""
        self._keep = 0
        self.close_idle(float("inf"))

    def close_idle(self, before: float) -> None:
        """Closes what has been idle since before then; all with infinity."""
        for connection in [connection for connection in self.idle if connection.idle_since < before]:
            self.idle.remove(connection)
            connection.discard()

    def close_oldest(self) -> bool:
        """Makes room for a connection elsewhere. Whether there was one to close."""
        if not self.idle:
            return False
        self.idle.pop(0).discard()
        return True
